import Checkpoints
import Foundation
import TensorCore

extension GGUFDecoder {
    /// Puts configuration and tensors together. Tensors of the file that nobody has a name for are an error.
    /// - Parameters:
    ///   - modules: those of every block, of which each block has some.
    ///   - read: tensors whose contents are in the configuration.
    ///   - assembled: tensors that are put together from others, which are named whole.
    func translation(
        _ configuration: [String: Any], modules: [GGUFModule], read: Set<String> = [],
        whole: [GGUFModule] = GGUFModule.whole, assembled: [String: GGUFTranslation.Entry] = [:]
    ) throws(ModelError) -> GGUFTranslation {
        var tensors = assembled
        var unused = Set(file.names).subtracting(read)
        for case .assembly(_, let pieces, _, _) in assembled.values { unused.subtract(pieces.map(\.name)) }
        let layers = try layerCount()
        var taken: Set<String> = []
        for module in whole { try add(module, "", "", to: &tensors, &taken) }
        for layer in 0..<layers {
            for module in modules {
                try add(module, "model.layers.\(layer).", "blk.\(layer).", to: &tensors, &taken)
            }
        }
        unused.subtract(taken)
        guard unused.isEmpty else { throw .unusedTensors(place: file.path, names: unused.sorted(), layers: layers) }
        do {
            let data = try JSONSerialization.data(
                withJSONObject: configuration, options: [.prettyPrinted, .sortedKeys])
            return GGUFTranslation(
                modelType: configuration["model_type"] as? String ?? "", configuration: data, tensors: tensors)
        } catch {
            throw problem("its metadata cannot be written as config.json: \(error.localizedDescription)")
        }
    }

    /// Adds what the file has of a module.
    private func add(
        _ module: GGUFModule, _ path: String, _ storedPath: String, to tensors: inout [String: GGUFTranslation.Entry],
        _ taken: inout Set<String>
    ) throws(ModelError) {
        for part in ["weight", "bias"] {
            let stored = "\(storedPath)\(module.stored).\(part)"
            guard file.contains(stored) else { continue }
            taken.insert(stored)
            guard let experts = module.experts else {
                tensors["\(path)\(module.name)\(module.hasEndings ? "." + part : "")"] = .tensor(
                    GGUFTranslation.Piece(
                        name: stored, rowOrder: module.rowOrder, offset: part == "weight" ? module.offset : 0))
                continue
            }
            let shape = try reporting { () throws(CheckpointError) in try file.info(stored) }.shape
            guard shape.count == 3, shape[0] == experts.count, shape[1] % module.share.count == 0 else {
                throw problem(
                    "tensor \(stored) has shape \(shape), expected \(experts.count) matrices, one for each expert")
            }
            for expert in 0..<experts.count {
                tensors["\(path)\(module.name).\(expert).\(experts.rest).\(part)"] = .part(
                    of: stored, index: expert * module.share.count + module.share.index,
                    count: experts.count * module.share.count)
            }
        }
    }

    /// The number of experts, which the file must have.
    func expertCount() throws(ModelError) -> Int {
        let count = try integer("expert_count")
        guard count > 0, count <= 1 << 16 else {
            throw problem("\(architecture).expert_count is \(count), expected a number from 1 to \(1 << 16)")
        }
        return count
    }

    /// The layers whose feed-forward part has a router, or those that have none.
    func layers(withRouter isSparse: Bool) throws(ModelError) -> [Int] {
        (0..<(try layerCount())).filter { file.contains("blk.\($0).ffn_gate_inp.weight") == isSparse }
    }
}
