import Autograd
import Checkpoints
import Foundation
import Layers
import Models
import TensorCore
import Testing

private let folders = ["llama-bnb-4bit", "llama-bnb-4bit-dq"]

/// The same numbers as another source's, all as float32 in memory.
private struct Expanded: TensorSource {
    let source: any TensorSource
    var names: [String] { source.names }
    func contains(_ name: String) -> Bool { source.contains(name) }
    func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
        let tensor = try source.tensor(name)
        let bytes = tensor.expandAll().withUnsafeBytes { MappedBytes(copying: $0) }
        do { return try StoredTensor(name: name, shape: tensor.shape, format: .float32, bytes: bytes) } catch {
            throw .tensor(path: "", error)
        }
    }
}

/// Checkpoints that transformers has saved with weights packed by bitsandbytes.
@Suite struct BitsandbytesTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    private func model(_ reference: Reference, _ tensors: any TensorSource) throws -> any CausalLanguageModel {
        let place = reference.folder.appendingPathComponent("config.json")
        return try Llama.makeModel(configuration: Data(contentsOf: place), tensors: tensors, place: place.path, on: compute)
    }

    @Test(arguments: folders) func logitsAndLoss(name: String) throws {
        let reference = try Reference(name)
        let tensors = BitsandbytesTensors(try reference.source())
        #expect(tensors.packedNames.count == 14 && tensors.names.count == 21)
        let model = try model(reference, tensors)
        let (ids, targets, layout) = try reference.batch()
        let logits = model.logits(ids, layout: layout, on: compute)
        #expect(largestDifference(logits.toArray(), try reference.floats("logits")) < Tolerance.logits)
        #expect(abs(meanLoss(model, ids, targets, layout, on: compute) - reference.number("loss")) < Tolerance.loss)
    }

    /// Adapters over packed weights get the gradients, and give the loss, of adapters over the same weights expanded.
    @Test(arguments: folders, [true, false]) func gradientsOverPackedWeights(name: String, recompute: Bool) throws {
        let reference = try Reference(name)
        let tensors = BitsandbytesTensors(try reference.source())
        let (ids, targets, layout) = try reference.batch()
        let results = try [tensors as any TensorSource, Expanded(source: tensors)].map { source in
            let model = try model(reference, source)
            let adapter = try LoRAAdapter(
                attaching: AdapterConfiguration(rank: 4, alpha: 8), to: model.linears, seed: 1, on: compute)
            for parameter in adapter.parameters where parameter.name.hasSuffix("lora_B") {
                parameter.update { values in for i in values.indices { values[i] = Float(i % 7) * 0.01 - 0.03 } }
            }
            let gradients = Gradients()
            let loss = meanLoss(model, ids, targets, layout, gradients: gradients, recompute: recompute, on: compute)
            return (loss, adapter.parameters.map { gradients[$0]?.toArray() ?? [] })
        }
        #expect(results[0].0 == results[1].0)
        for (packed, expanded) in zip(results[0].1, results[1].1) {
            #expect(!packed.isEmpty && packed == expanded)
        }
    }

    @Test func damageIsNamed() throws {
        let source = try Reference("llama-bnb-4bit-dq").source()
        let weight = "model.layers.0.mlp.down_proj.weight"
        func refusal(dropping: Set<String> = [], replacing: [String: [UInt8]] = [:]) throws -> String {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let kept = source.names.filter { !dropping.contains($0) }
            let declarations = try kept.map { name in
                let entry = try source.entry(name)
                let shape = replacing[name].map { [$0.count / entry.type.byteCount] } ?? entry.shape
                return TensorDeclaration(name: name, shape: shape, type: entry.type)
            }
            try SafetensorsWriter.write(to: folder.appendingPathComponent("model.safetensors"), tensors: declarations) { writer in
                for name in kept {
                    if let bytes = replacing[name] {
                        try bytes.withUnsafeBytes { try writer.append($0, to: name) }
                    } else {
                        try source.entry(name).bytes.withUnsafeBytes { try writer.append($0, to: name) }
                    }
                }
            }
            do {
                _ = try BitsandbytesTensors(ShardedSafetensors(folder: folder)).tensor(weight)
                return ""
            } catch { return "\(error)" }
        }
        func state(_ change: (inout [String: Any]) -> Void) throws -> [String: [UInt8]] {
            let name = weight + ".quant_state.bitsandbytes__nf4"
            let data = try source.entry(name).bytes.withUnsafeBytes { Data($0) }
            var object = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
            change(&object)
            return [name: Array(try JSONSerialization.data(withJSONObject: object))]
        }
        #expect(try refusal() == "")
        for part in [".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"] {
            #expect(try refusal(dropping: [weight + part]).contains("\(weight) is packed in 4 bits, but \(weight + part) is missing"))
        }
        #expect(try refusal(dropping: [weight + ".quant_state.bitsandbytes__nf4"]).contains("quant_state"))
        #expect(try refusal(replacing: [weight: [0, 1, 2]]).contains("it has 3 packed bytes, expected 4096"))
        #expect(try refusal(replacing: [weight + ".nested_absmax": []]).contains("it has 0 nested scales, expected 1"))
        #expect(try refusal(replacing: [weight + ".absmax": [1]]).contains("it has 1 bytes of block scales, expected 128"))
        #expect(try refusal(replacing: state { $0["shape"] = [1 << 40, 1 << 40] }).contains("its shape is"))
        #expect(try refusal(replacing: state { $0["shape"] = [64, 1 << 40] }).contains("expected"))
        #expect(try refusal(replacing: state { $0["blocksize"] = 0 }).contains("its block size is 0"))
        #expect(try refusal(replacing: state { $0["blocksize"] = 1 << 60 }).contains("its block size is"))
        #expect(try refusal(replacing: state { $0["nested_blocksize"] = -1 }).contains("its block size is -1"))
        #expect(try refusal(replacing: state { $0["nested_blocksize"] = nil }).contains("nested_blocksize"))
        #expect(try refusal(replacing: state { $0["nested_offset"] = 1e300 }).contains("not all finite"))
        #expect(try refusal(replacing: state { $0["nested_offset"] = nil }).contains("has type U8, expected F32"))
        #expect(try refusal(replacing: state { $0["quant_type"] = "nf3" }).contains("its quant_type is nf3"))
        #expect(try refusal(replacing: state { $0["shape"] = nil }).contains("has no shape"))
        #expect(try refusal(replacing: [weight + ".quant_state.bitsandbytes__nf4": Array("[[[".utf8)]).contains("not the JSON"))
    }
}
