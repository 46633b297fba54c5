import Foundation
import Testing

/// What sets Mistral apart; logits, gradients and so on are checked with those of all recorded models.
@Suite struct MistralTests {
    @Test(arguments: ["config.json", "config.v5.json"]) func windowOfEveryLayer(config: String) throws {
        try expectAblation("mistral", "no_sliding_window", config: config) {
            $0.updateValue(NSNull(), forKey: "sliding_window")
        }
        try expectAblation("mistral", "window_plus_1", config: config) { $0["sliding_window"] = 13 }
    }

    @Test func impossibleWindowsAreRefused() throws {
        #expect(try refusal("mistral") { $0["sliding_window"] = 0 }.contains("sliding_window is 0"))
        #expect(try refusal("mistral") { $0["layer_types"] = ["full_attention"] }.contains("layer_types has 1 entries"))
        let types = ["full_attention", "strided_attention", "full_attention"]
        #expect(try refusal("mistral") { $0["layer_types"] = types }.contains("strided_attention"))
    }

    @Test func headSizeIsExplicit() throws {
        #expect(try refusal("mistral") { $0["head_dim"] = 8 }.contains("self_attn.q_proj.weight has shape [64, 64]"))
    }
}
