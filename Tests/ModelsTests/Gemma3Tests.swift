import Autograd
import Checkpoints
import Foundation
import Models
import TensorCore
import Testing

/// What sets Gemma 3 apart; logits, gradients and so on are checked with those of all recorded models.
@Suite struct Gemma3Tests {
    private let name = "gemma3_text"

    @Test(arguments: ["config.json", "config.v5.json"]) func layersWithAWindow(config: String) throws {
        try expectAblation(name, "all_full", config: config) {
            $0["layer_types"] = [String](repeating: "full_attention", count: 4)
        }
    }

    @Test func scaleOfTheScores() throws {
        try expectAblation(name, "qpas_head_dim") { $0["query_pre_attn_scalar"] = 24 }
    }

    @Test func layersWithAWindowHaveARotationOfTheirOwn() throws {
        try expectAblation(name, "one_rope_theta") { $0["rope_local_base_freq"] = 1_000_000 }
        try expectAblation(name, "one_rope_theta", config: "config.v5.json") {
            let rotation: [String: Any] = ["rope_type": "default", "rope_theta": 1_000_000]
            $0["rope_parameters"] = ["full_attention": rotation, "sliding_attention": rotation]
        }
    }

    /// A layer pattern of 3 is what `layer_types` of the recorded configuration says.
    @Test func layersFromThePattern() throws {
        let compute = try Compute(threadCount: 2)
        let reference = try Reference(name)
        let (ids, _, layout) = try reference.batch()
        let model = try reference.model(on: compute) {
            $0["layer_types"] = nil
            $0["sliding_window_pattern"] = 3
        }
        #expect(
            largestDifference(
                model.logits(ids, layout: layout, on: compute).toArray(), try reference.floats("logits"))
                < Tolerance.logits)
    }

    /// A cap on logits is one on the recorded logits; one on scores is no part of Gemma 3, whatever its configuration says.
    @Test func softCaps() throws {
        let compute = try Compute(threadCount: 2)
        let reference = try Reference(name)
        let (ids, targets, layout) = try reference.batch()
        let plain = try reference.floats("logits")
        func logits(_ key: String, _ cap: Double) throws -> [Float] {
            try reference.model(on: compute) { $0[key] = cap }.logits(ids, layout: layout, on: compute).toArray()
        }
        #expect(
            largestDifference(try logits("final_logit_softcapping", 4), plain.map { 4 * tanh($0 / 4) })
                < Tolerance.logits)
        #expect(largestDifference(try logits("attn_logit_softcapping", 1), plain) < Tolerance.logits)
        // The loss is that of the capped logits, and so are the tokens that follow.
        let capped = try reference.model(on: compute) { $0["final_logit_softcapping"] = 4 }
        let expected = zip(targets.indices, targets).reduce(0.0) { sum, item in
            guard item.1 >= 0 else { return sum }
            let row = plain[item.0 * 288..<(item.0 + 1) * 288].map { 4 * tanh(Double($0) / 4) }
            return sum + log(row.reduce(0) { $0 + exp($1) }) - row[Int(item.1)]
        }
        let supervised = Double(targets.count { $0 >= 0 })
        #expect(abs(meanLoss(capped, ids, targets, layout, on: compute) - expected / supervised) < 1e-4)
        let next = capped.nextTokenLogits(Array(ids[..<40]), layout: SequenceLayout(count: 40), cache: nil, on: compute)
        #expect(
            largestDifference(next.toArray(), plain[39 * 288..<40 * 288].map { 4 * tanh($0 / 4) }) < Tolerance.logits)
    }

    @Test func impossibleOptionsAreRefused() throws {
        #expect(try refusal(name) { $0["use_bidirectional_attention"] = true }.contains("use_bidirectional_attention"))
        #expect(try refusal(name) { $0["query_pre_attn_scalar"] = 0 }.contains("query_pre_attn_scalar is 0"))
        #expect(try refusal(name) { $0["hidden_activation"] = "relu" }.contains("hidden_act is relu"))
        #expect(try refusal(name) { $0["final_logit_softcapping"] = -1 }.contains("final_logit_softcapping is -1"))
    }

    // MARK: The multimodal checkpoint

    private func hub(_ compute: Compute, _ tensors: (any TensorSource)? = nil) throws -> any CausalLanguageModel {
        let folder = fixtures.appendingPathComponent("gemma3_hub")
        return try Gemma3.makeModel(
            configuration: try Data(contentsOf: folder.appendingPathComponent("config.json")),
            tensors: try tensors ?? ShardedSafetensors(folder: folder), place: folder.path, on: compute)
    }

    /// Its configuration leaves out what transformers has as a default.
    @Test func multimodalCheckpointHasTheSameText() throws {
        let compute = try Compute(threadCount: 2)
        let (ids, _, layout) = try Reference(name).batch()
        let logits = try hub(compute).logits(ids, layout: layout, on: compute).toArray()
        #expect(logits == (try Reference(name).model(on: compute).logits(ids, layout: layout, on: compute).toArray()))
    }

    @Test func imagesAreKeptThroughAMerge() throws {
        let compute = try Compute(threadCount: 2)
        let model = try hub(compute)
        let reference = try Reference(name)
        // An adapter that was trained over the text model alone fits.
        let adapter = try AdapterFolder(reference.folder.appendingPathComponent("adapter"), on: compute)
            .attach(to: model.adapterTargets)
        let base = try ShardedSafetensors(folder: fixtures.appendingPathComponent("gemma3_hub"))
        let merged = MergedTensors(base, adapter: adapter)
        let images = base.names.filter { !$0.hasPrefix("language_model.") }
        #expect(merged.names == base.names && images.count > 10)
        for name in images {
            #expect(try merged.tensor(name).expandAll() == base.tensor(name).expandAll(), "\(name)")
        }
        let (ids, _, layout) = try reference.batch()
        let adapted = model.logits(ids, layout: layout, on: compute).toArray()
        let expected = try reference.floats("adapter.logits_row0")
        #expect(largestDifference(Array(adapted.prefix(expected.count)), expected) < Tolerance.logits)
        let again = try hub(compute, merged).logits(ids, layout: layout, on: compute).toArray()
        #expect(largestDifference(adapted, again) < Tolerance.logits)
    }
}
