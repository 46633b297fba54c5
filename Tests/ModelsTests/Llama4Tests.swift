import Autograd
import Checkpoints
import Foundation
import Layers
import Models
import TensorCore
import Testing

/// What sets Llama 4 apart; logits, gradients and so on are checked with those of all recorded models.
@Suite struct Llama4Tests {
    @Test func positions() throws {
        try expectAblation("llama4_text", "no_chunk") { $0["attention_chunk_size"] = 1 << 20 }
        try expectAblation("llama4_text", "chunk_plus_1") { $0["attention_chunk_size"] = 17 }
        try expectAblation("llama4_text", "rope_everywhere") { $0["no_rope_layers"] = [1, 1, 1, 1] }
        try expectAblation("llama4_text", "no_rope_scaling") { $0["rope_scaling"] = nil }
    }

    @Test func scoresOfAttention() throws {
        try expectAblation("llama4_text", "no_temperature") { $0["attn_temperature_tuning"] = false }
        try expectAblation("llama4_text", "no_qk_norm") { $0["use_qk_norm"] = false }
    }

    /// Without the list every fourth layer knows no positions, and experts are in every second layer.
    @Test func listsFollowFromIntervals() throws {
        let compute = try Compute(threadCount: 1)
        let reference = try Reference("llama4_text")
        let (ids, _, layout) = try reference.batch()
        let model = try reference.model(on: compute) {
            ($0["no_rope_layers"], $0["moe_layers"]) = ([Int](), [1, 3])
        }
        #expect(
            largestDifference(model.logits(ids, layout: layout, on: compute).toArray(), try reference.floats("logits"))
                < Tolerance.logits)
        #expect(try refusal("llama4_text") { $0["no_rope_layers"] = [1] }.contains("no_rope_layers has 1 entries"))
        #expect(try refusal("llama4_text") { $0["interleave_moe_layer_step"] = 1 }.contains("layers.0.feed_forward"))
        #expect(try refusal("llama4_text") { $0["floor_scale"] = 0 }.contains("floor_scale is 0"))
    }

    /// Where layers are listed by type, that decides about chunks, and the knowledge of positions only about rotations.
    @Test func chunksFollowTheTypesOfLayers() throws {
        let full = [String](repeating: "full_attention", count: 4)
        try expectAblation("llama4_text", "no_chunk") { $0["layer_types"] = full }
        #expect(try refusal("llama4_text") { $0["layer_types"] = ["mamba"] + full[1...] }.contains("layer_types has mamba"))
    }

    // MARK: The multimodal checkpoint

    private func hub(_ compute: Compute, _ tensors: (any TensorSource)? = nil) throws -> any CausalLanguageModel {
        let folder = fixtures.appendingPathComponent("llama4_hub")
        return try Llama4.makeModel(
            configuration: try Data(contentsOf: folder.appendingPathComponent("config.json")),
            tensors: try tensors ?? ShardedSafetensors(folder: folder), place: folder.path, on: compute)
    }

    @Test func multimodalCheckpointHasTheSameText() throws {
        let compute = try Compute(threadCount: 2)
        let reference = try Reference("llama4_text")
        let (ids, _, layout) = try reference.batch()
        let logits = try hub(compute).logits(ids, layout: layout, on: compute).toArray()
        #expect(logits == (try reference.model(on: compute).logits(ids, layout: layout, on: compute).toArray()))
    }

    @Test func imagesAreKeptThroughAMerge() throws {
        let compute = try Compute(threadCount: 2)
        let model = try hub(compute)
        let settings = AdapterConfiguration(rank: 2, alpha: 4)
        let adapter = try LoRAAdapter(attaching: settings, to: model.adapterTargets, seed: 1, on: compute)
        #expect(adapter.layers.allSatisfy { $0.name.hasPrefix("language_model.model.layers.") })
        for parameter in adapter.parameters where parameter.name.hasSuffix("lora_B") {
            parameter.update { for index in $0.indices { $0[index] = Float(index % 7) * 0.01 - 0.03 } }
        }
        let base = try ShardedSafetensors(folder: fixtures.appendingPathComponent("llama4_hub"))
        let merged = MergedTensors(base, adapter: adapter)
        #expect(merged.names == base.names)
        #expect(merged.changedNames.contains("language_model.model.layers.1.feed_forward.experts.gate_up_proj"))
        for name in base.names where !name.hasPrefix("language_model.") {
            #expect(try merged.tensor(name).expandAll() == base.tensor(name).expandAll(), "\(name)")
        }
        let (ids, _, layout) = try Reference("llama4_text").batch()
        let adapted = model.logits(ids, layout: layout, on: compute).toArray()
        let again = try hub(compute, merged).logits(ids, layout: layout, on: compute).toArray()
        #expect(largestDifference(adapted, again) < Tolerance.logits)
        adapter.detach()
        #expect(largestDifference(model.logits(ids, layout: layout, on: compute).toArray(), again) > 0.1)
    }
}
