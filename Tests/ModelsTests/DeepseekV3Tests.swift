import Testing

/// What sets DeepSeek-V3 apart; logits, gradients and so on are checked with those of all recorded models.
@Suite struct DeepseekV3Tests {
    @Test func rotation() throws {
        try expectAblation("deepseek_v3", "rope_not_interleaved") { $0["rope_interleave"] = false }
        try expectAblation("deepseek_v3", "no_yarn") { $0["rope_scaling"] = nil }
    }

    @Test func routing() throws {
        try expectAblation("deepseek_v3", "no_group_limit") {
            ($0["n_group"], $0["topk_group"]) = (1, 1)
        }
        try expectAblation("deepseek_v3", "no_norm_topk") { $0["norm_topk_prob"] = false }
        try expectAblation("deepseek_v3", "no_routed_scaling") { $0["routed_scaling_factor"] = 1.0 }
    }

    @Test func impossibleNumbersAreRefused() throws {
        #expect(try refusal("deepseek_v3") { $0["n_group"] = 3 }.contains("n_group is 3"))
        #expect(try refusal("deepseek_v3") { $0["topk_group"] = 1 }.contains("topk_group is 1"))
        #expect(try refusal("deepseek_v3") { $0["scoring_func"] = "softmax" }.contains("scoring_func is softmax"))
        #expect(try refusal("deepseek_v3") { $0["topk_method"] = "greedy" }.contains("topk_method is greedy"))
        #expect(try refusal("deepseek_v3") { $0["first_k_dense_replace"] = 1 }.contains("layers.1.mlp.experts.0"))
        #expect(try refusal("deepseek_v3") { $0["q_lora_rank"] = nil }.contains("q_proj"))
    }
}
