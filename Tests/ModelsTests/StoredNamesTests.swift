import Checkpoints
import Foundation
import Models
import TensorCore
import Testing

/// Checkpoints that hold more than the network needs, or name it otherwise.
@Suite struct StoredNamesTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    private func logits(
        _ name: String, _ tensors: any TensorSource, changing change: (inout [String: Any]) -> Void = { _ in }
    ) throws -> [Float] {
        let reference = try Reference(name)
        let place = reference.folder.appendingPathComponent("config.json")
        var object = try JSONSerialization.jsonObject(with: Data(contentsOf: place)) as? [String: Any] ?? [:]
        change(&object)
        let model = try ModelRegistry.architecture(modelType: object["model_type"] as? String ?? "", place: "P").makeModel(
            configuration: try JSONSerialization.data(withJSONObject: object), tensors: tensors, place: "P", on: compute)
        let (ids, _, layout) = try reference.batch()
        return model.logits(ids, layout: layout, on: compute).toArray()
    }

    /// A head beside tied embeddings is a copy of them, or, as in transformers, the one that counts.
    @Test func headsBesideTiedEmbeddings() throws {
        let reference = try Reference("llama-tied")
        let plain = try reference.floats("logits")
        func names(_ name: String) -> [String] {
            name == "model.embed_tokens.weight" ? [name, "lm_head.weight"] : [name]
        }
        let copied = RenamedTensors(try reference.source(), names)
        #expect(largestDifference(try logits("llama-tied", copied), plain) < Tolerance.logits)
        let doubled = TwiceTheHead(base: copied)
        #expect(largestDifference(try logits("llama-tied", doubled), plain.map { 2 * $0 }) < 2 * Tolerance.logits)
    }

    /// The layers of DeepSeek-V3 that predict tokens further ahead are left alone when the configuration speaks of them.
    @Test func layersThatPredictFurtherTokens() throws {
        let reference = try Reference("deepseek_v3")
        let layers = try #require(
            try reference.source().names.compactMap { Int($0.split(separator: ".").dropFirst(2).first ?? "") }.max()) + 1
        let further = RenamedTensors(try reference.source()) { name in
            let first = "model.layers.0."
            return name.hasPrefix(first) ? [name, "model.layers.\(layers)." + name.dropFirst(first.count)] : [name]
        }
        let found = try logits("deepseek_v3", further) { $0["num_nextn_predict_layers"] = 1 }
        #expect(largestDifference(found, try reference.floats("logits")) < Tolerance.logits)
        #expect(throws: ModelError.self) { try logits("deepseek_v3", further) { $0["num_nextn_predict_layers"] = 0 } }
    }

    /// Mixtral's router under the name that it has within transformers 5.
    @Test func routersOfMixtral() throws {
        let reference = try Reference("mixtral")
        let renamed = RenamedTensors(try reference.source()) { [$0.replacingOccurrences(of: ".block_sparse_moe.", with: ".mlp.")] }
        #expect(largestDifference(try logits("mixtral", renamed), try reference.floats("logits")) < Tolerance.logits)
    }
}

/// A checkpoint whose head has twice the values.
private struct TwiceTheHead: TensorSource {
    let base: RenamedTensors

    var names: [String] { base.names }
    func contains(_ name: String) -> Bool { base.contains(name) }

    func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
        let tensor = try base.tensor(name)
        guard name == "lm_head.weight" else { return tensor }
        let bytes = tensor.expandAll().map { 2 * $0 }.withUnsafeBytes { MappedBytes(copying: $0) }
        do { return try StoredTensor(name: name, shape: tensor.shape, format: .float32, bytes: bytes) } catch {
            throw .tensor(path: name, error)
        }
    }
}
