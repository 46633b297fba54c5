import Testing

/// What sets gpt-oss apart; logits, gradients and so on are checked with those of all recorded models.
@Suite struct GPTOSSTests {
    @Test func windowsAlternate() throws {
        try expectAblation("gpt_oss", "no_sliding_window") { $0["sliding_window"] = 1 << 20 }
        #expect(try refusal("gpt_oss") { $0["layer_types"] = ["full_attention"] }.contains("layer_types has 1 entries"))
    }

    @Test func clampedGates() throws {
        try expectAblation("gpt_oss", "swiglu_limit_7") { $0["swiglu_limit"] = 7.0 }
        try expectAblation("gpt_oss", "swiglu_limit_7") { $0["swiglu_limit"] = nil }
    }

    @Test func rotation() throws {
        try expectAblation("gpt_oss", "truncate") {
            guard var scaling = $0["rope_scaling"] as? [String: Any] else { return }
            scaling["truncate"] = true
            $0["rope_scaling"] = scaling
        }
    }
}
