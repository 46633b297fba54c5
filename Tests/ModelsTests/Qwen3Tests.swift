import Foundation
import Models
import Testing

/// What sets Qwen3 apart; logits, gradients and so on are checked with those of all recorded models.
@Suite struct Qwen3Tests {
    @Test(arguments: ["config.json", "config.v5.json"]) func baseOfTheRotation(config: String) throws {
        try expectAblation("qwen3", "rope_theta_10000", config: config) { object in
            object["rope_theta"] = 10_000
            if object["rope_parameters"] != nil {
                object["rope_parameters"] = ["rope_type": "default", "rope_theta": 10_000] as [String: Any]
            }
        }
    }

    /// The norms of heads are tensors that a network without them would leave over.
    @Test func normsOfHeadsAreUsed() throws {
        let found = try refusal("qwen3") {
            $0["model_type"] = "llama"
            $0["attention_bias"] = false
        }
        #expect(found.contains("6 tensors (model.layers.0.self_attn.k_norm.weight, "))
    }

    @Test func biasesAreLookedFor() throws {
        #expect(try refusal("qwen3") { $0["attention_bias"] = true }.contains("self_attn.q_proj.bias"))
    }
}
