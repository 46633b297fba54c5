import Testing

/// What sets Qwen 3 with experts apart; logits, gradients and so on are checked with those of all recorded models.
@Suite struct Qwen3MoETests {
    @Test(arguments: ["config.json", "config.v5.json"]) func normalisedWeights(config: String) throws {
        try expectAblation("qwen3_moe", "flip_norm_topk_prob", config: config) { $0["norm_topk_prob"] = false }
    }

    @Test func denseLayersAreThoseOfTheConfiguration() throws {
        #expect(try refusal("qwen3_moe") { $0["mlp_only_layers"] = [Int]() }.contains("layers.1.mlp.experts.0"))
        #expect(try refusal("qwen3_moe") { $0["decoder_sparse_step"] = 2 }.contains("layers.0.mlp"))
        #expect(try refusal("qwen3_moe") { $0["moe_intermediate_size"] = 17 }.contains("shape [16, 64]"))
    }
}
