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

    /// A sink far below all scores is none.
    @Test func sinks() throws {
        let without = try movement("gpt_oss") { name, values in
            name.hasSuffix("self_attn.sinks") ? values.map { _ in -1e4 } : nil
        }
        #expect(without > 0.1)
    }

    @Test(arguments: ["self_attn.q_proj.bias", "o_proj.bias", "router.bias", "gate_up_proj_bias", "down_proj_bias"])
    func biases(ending: String) throws {
        #expect(try movement("gpt_oss") { $0.hasSuffix(ending) ? $1.map { _ in 0 } : nil } > 0.1)
    }
}
