import Autograd
public import Checkpoints
public import Foundation
import Layers
public import Models
public import TensorCore
import Tokenization

/// Folds an adapter into a base model and writes a Hugging Face folder, with proof that the folder computes the same.
///
/// An adapter that was trained over a packed base may be merged into the 16-bit model that the base was made from, or
/// into the packed base itself, expanded. Either way the report compares with what was trained.
public struct ModelMerge {
    private let base: BaseModel
    private let network: any CausalLanguageModel
    private let merged: MergedTensors
    private let type: SafetensorsType
    private let compute: Compute
    /// Logits of the base with the adapter; of what was trained over, without and with it.
    private let adaptedLogits, trainedPlainLogits, trainedLogits: Tensor
    private let hasOtherOrigin: Bool
    private let probe: [Int32]
    /// Bytes of weights in a file.
    private static let shardBytes = 5_000_000_000

    /// Prepares a merge.
    /// - Parameters:
    ///   - base: what the adapter is folded into.
    ///   - trainedOver: what it was trained over, if that is something else.
    ///   - adapter: `nil` writes the base alone.
    ///   - type: element type to write; `nil` = float32 if the base is, else bfloat16.
    public init(
        base: BaseModel, trainedOver: BaseModel? = nil, adapter: AdapterFolder?, type: SafetensorsType? = nil,
        on compute: Compute
    ) throws {
        let exact = Compute(sharing: compute, precision: .float32)
        (self.base, self.compute, hasOtherOrigin) = (base, exact, trainedOver != nil)
        network = try base.makeModel(on: exact)
        probe = LogitsComparison.probe(vocabulary: network.vocabularySize)
        let layout = SequenceLayout(count: probe.count)
        let plain = network.logits(probe, layout: layout, on: exact)
        let attached = try adapter?.attach(to: network.adapterTargets)
        adaptedLogits = attached == nil ? plain : network.logits(probe, layout: layout, on: exact)
        if let trainedOver {
            let trained = try trainedOver.makeModel(on: exact)
            trainedPlainLogits = trained.logits(probe, layout: layout, on: exact)
            _ = try adapter?.attach(to: trained.adapterTargets)
            trainedLogits = trained.logits(probe, layout: layout, on: exact)
        } else {
            (trainedPlainLogits, trainedLogits) = (plain, adaptedLogits)
        }
        merged = MergedTensors(base.tensors, adapter: attached)
        self.type = try type ?? Self.usualType(of: base)
        if let adapter, merged.changedNames.isEmpty { throw Problem.changesNothing(adapter: adapter.path) }
    }

    /// The element type that is written where none is asked for.
    static func usualType(of base: BaseModel) throws -> SafetensorsType {
        try base.tensors.names.allSatisfy { try base.tensors.tensor($0).format == .float32 } ? .float32 : .bfloat16
    }

    /// Writes the folder; it appears complete and proven, or not at all.
    /// - Parameters:
    ///   - packing: packs the merged weights into 4 bits again; the report then says what is left of the adapter.
    ///   - progress: called after each tensor and before the folder appears; what it throws ends the merge, which leaves nothing
    ///     then.
    public func write(
        to folder: URL, packing: Packing? = nil, replacing: Bool = false,
        progress: (_ done: Int, _ of: Int) throws -> Void = { _, _ in }
    ) throws -> Report {
        AtomicDirectory.recover(beside: folder)
        var report: Report?
        try AtomicDirectory.write(to: folder, replacing: replacing) { temporary in
            if let packing {
                var result = base
                result.tensors = merged
                _ = try PackedFolder.write(result, network: network, packing: packing, to: temporary, on: compute, progress: progress)
            } else {
                try writeTensors(temporary, progress)
                try AtomicFile.write(try configuration(), to: temporary.appendingPathComponent("config.json"))
                for (name, contents) in try base.companions() {
                    try AtomicFile.write(contents, to: temporary.appendingPathComponent(name))
                }
            }
            report = try prove(temporary, packing)
            try progress(merged.names.count, merged.names.count)
        }
        guard let report else { throw Problem.changesNothing(adapter: folder.path) }
        return report
    }

    private func writeTensors(_ folder: URL, _ progress: (Int, Int) throws -> Void) throws {
        let names = merged.names
        let declarations = try names.map { TensorDeclaration(name: $0, shape: try base.tensors.tensor($0).shape, type: type) }
        let writer = try ShardedSafetensorsWriter(folder: folder, tensors: declarations, maximumShardBytes: Self.shardBytes)
        for (index, name) in names.enumerated() {
            try merged.forEachPiece(of: name) { try writer.append($0, to: name) }
            try progress(index + 1, names.count)
        }
        try writer.finish()
    }

    /// config.json with the element type that was written, and without a packing that is no more.
    private func configuration() throws -> Data {
        let value = try BaseModel.parse(base.configuration, base.path)
        guard var object = value.objectValue?.without("quantization_config") else { return base.configuration }
        let name = type == .float32 ? "float32" : "bfloat16"
        object[object["dtype"] == nil ? "torch_dtype" : "dtype"] = .string(name)
        return Data(JSONValue.object(object).serialized(pretty: true).utf8)
    }

    /// Opens what was written and compares its logits.
    private func prove(_ folder: URL, _ packing: Packing?) throws -> Report {
        let written = try BaseModel.open(folder.path).makeModel(on: compute)
            .logits(probe, layout: SequenceLayout(count: probe.count), on: compute)
        let proof = LogitsComparison(adaptedLogits, written)
        // Rounding every weight to bfloat16 moves logits by a few thousandths of their size, sometimes a few hundredths;
        // packing is no longer the same model.
        let limit = packing != nil ? Double.infinity : type == .float32 ? 1e-4 : 0.1
        if !(proof.relative <= limit) || !proof.relative.isFinite { throw Problem.differs(proof, limit: limit) }
        let changed = merged.changedNames.count
        return Report(
            tensors: merged.names.count, changed: changed, type: type, packing: packing, comparison: proof,
            trained: hasOtherOrigin ? LogitsComparison(trainedLogits, written) : nil,
            otherBase: hasOtherOrigin ? LogitsComparison(trainedLogits, adaptedLogits) : nil,
            effectKept: changed > 0 && (packing != nil || hasOtherOrigin)
                ? LogitsComparison.share(of: trainedLogits, from: trainedPlainLogits, in: written) : nil)
    }
}
