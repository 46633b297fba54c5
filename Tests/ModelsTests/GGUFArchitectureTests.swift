import Autograd
import Checkpoints
import Foundation
import Models
import TensorCore
import Testing

/// GGUF files of the recorded models: the header, with names and metadata, is as the gguf package wrote it; the numbers
/// are those of the Hugging Face checkpoint, laid out as llama.cpp has them.
@Suite struct GGUFArchitectureTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    private func file(_ name: String, permutedHeads size: Int? = nil, raisedNorms: Bool = false) throws -> GGUFFile {
        let folder = fixtures.appendingPathComponent("gguf-headers")
        var bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent("\(name).gguf-header")))
        let order = try JSONDecoder().decode(
            [String].self, from: Data(contentsOf: folder.appendingPathComponent("\(name).json")))
        let source = try Reference(name).source()
        for part in order {
            if part.hasPrefix("rope_factors_") {
                bytes += try Self.factors(name, part)
            } else if try source.entry(part).shape.count == 1 {
                let offset: Float = raisedNorms ? 1 : 0
                bytes += try source.tensor(part).expandAll().map { $0 + offset }.withUnsafeBytes { [UInt8]($0) }
            } else {
                let (whole, shape) = try (
                    source.entry(part).bytes.withUnsafeBytes { [UInt8]($0) }, source.entry(part).shape
                )
                let isPermuted = size != nil && (part.contains("q_proj") || part.contains("k_proj"))
                bytes += isPermuted ? Self.permuted(whole, rows: shape[0], headSize: size ?? 2) : whole
            }
            bytes += [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32)
        }
        return try GGUFFile(bytes: MappedBytes(copying: bytes), path: "\(name).gguf")
    }

    private static func factors(_ name: String, _ part: String) throws -> [UInt8] {
        let data = try Data(contentsOf: Reference(name).folder.appendingPathComponent("config.json"))
        let scaling =
            (try JSONSerialization.jsonObject(with: data) as? [String: Any])?["rope_scaling"] as? [String: Any]
        let values = try #require(scaling?[part.hasSuffix("long") ? "long_factor" : "short_factor"] as? [Double])
        return values.map { Float($0) }.withUnsafeBytes { [UInt8]($0) }
    }

    /// Rows of the two halves of each head in turn.
    private static func permuted(_ bytes: [UInt8], rows: Int, headSize: Int) -> [UInt8] {
        let (width, half) = (bytes.count / rows, headSize / 2)
        return (0..<rows).flatMap { row in
            let (head, within) = (row / headSize, row % headSize)
            let source = head * headSize + within % 2 * half + within / 2
            return bytes[source * width..<(source + 1) * width]
        }
    }

    /// Logits of the recorded ids, perhaps after a change of the translated configuration.
    private func logits(_ file: GGUFFile, _ change: (inout [String: Any]) -> Void = { _ in }) throws -> [Float] {
        let architecture = try ModelRegistry.architecture(gguf: file.string("general.architecture"), place: file.path)
        let translation = try architecture.translate(file)
        var object = try JSONSerialization.jsonObject(with: translation.configuration) as? [String: Any] ?? [:]
        change(&object)
        let family = try ModelRegistry.architecture(modelType: object["model_type"] as? String ?? "", place: file.path)
        let model = try family.makeModel(
            configuration: try JSONSerialization.data(withJSONObject: object),
            tensors: GGUFTensorSource(file, translation), place: file.path, on: compute)
        let (ids, _, layout) = try Reference(String(file.path.dropLast(5))).batch()
        return model.logits(ids, layout: layout, on: compute).toArray()
    }

    @Test(arguments: ["qwen2", "qwen3", "phi3"]) func filesThatSayEverything(name: String) throws {
        let difference = largestDifference(try logits(try file(name)), try Reference(name).floats("logits"))
        #expect(difference < Tolerance.logits)
    }

    /// The scale of the scores is not in the file: it follows from the size of the published models.
    @Test func gemma3() throws {
        let file = try file("gemma3_text", raisedNorms: true)
        let found = try logits(file) { object in
            #expect(object["query_pre_attn_scalar"] as? Int == 24 && object["sliding_window"] as? Int == 10)
            object["query_pre_attn_scalar"] = 20
        }
        #expect(largestDifference(found, try Reference("gemma3_text").floats("logits")) < Tolerance.logits)
    }

    /// Mistral's files are of the llama architecture, and say nothing of a window.
    @Test func mistral() throws {
        let reference = try Reference("mistral")
        let (ids, _, layout) = try reference.batch()
        let expected = try reference.model(on: compute) { $0["sliding_window"] = NSNull() }
        let difference = largestDifference(
            try logits(try file("mistral", permutedHeads: 16)),
            expected.logits(ids, layout: layout, on: compute).toArray())
        #expect(difference < Tolerance.logits)
    }

    /// Which layers have no positions is not in the file.
    @Test func smolLM3() throws {
        let found = try logits(try file("smollm3", permutedHeads: 16)) { $0["no_rope_layers"] = [1, 0, 1, 0] }
        #expect(largestDifference(found, try Reference("smollm3").floats("logits")) < Tolerance.logits)
    }

    /// Norms are read back as `w`, so that a merged checkpoint is one of transformers.
    @Test func raisedNormsAreLoweredAgain() throws {
        let file = try file("gemma3_text", raisedNorms: true)
        let source = GGUFTensorSource(file, try Gemma3.translate(file))
        let reference = try Reference("gemma3_text").source()
        #expect(source.names == reference.names)
        for name in reference.names {
            #expect(
                try largestDifference(source.tensor(name).expandAll(), reference.tensor(name).expandAll()) < 1e-6,
                "\(name)")
        }
    }

    @Test func tensorsWithoutAPlaceAreRefused() throws {
        let file = try file("qwen3")
        let error = #expect(throws: ModelError.self) { try Qwen2.translate(file) }
        #expect("\(error!)".contains("does not use 6 tensors (blk.0.attn_k_norm.weight, "))
    }
}
