import Autograd
import Foundation
import Models
import TensorCore
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

    /// Experts are chosen by score and bias, and weighted by the score alone.
    @Test func correctionBias() throws {
        let without = try movement("deepseek_v3") { name, values in
            name.hasSuffix("e_score_correction_bias") ? values.map { _ in 0 } : nil
        }
        #expect(without > 0.1)
        // The same for all changes no choice, and no weight.
        let raised = try movement("deepseek_v3") { name, values in
            name.hasSuffix("e_score_correction_bias") ? values.map { $0 + 8 } : nil
        }
        #expect(raised < Tolerance.logits)
    }

    /// The factor of the scores that goes with YaRN.
    @Test func scaleOfTheScores() throws {
        let compute = try Compute(threadCount: 2)
        let reference = try Reference("deepseek_v3")
        let (ids, _, layout) = try reference.batch()
        let model = try reference.model(on: compute) {
            guard var scaling = $0["rope_scaling"] as? [String: Any] else { return }
            // The rotation stays: its own factor is the quotient of two that are equal.
            (scaling["mscale"], scaling["mscale_all_dim"]) = (2.0, 2.0)
            $0["rope_scaling"] = scaling
        }
        #expect(
            largestDifference(
                model.logits(ids, layout: layout, on: compute).toArray(), try reference.floats("logits")) > 0.1)
    }

    @Test func impossibleNumbersAreRefused() throws {
        #expect(try refusal("deepseek_v3") { $0["n_group"] = 3 }.contains("n_group is 3"))
        #expect(try refusal("deepseek_v3") { $0["topk_group"] = 1 }.contains("topk_group is 1"))
        #expect(try refusal("deepseek_v3") { $0["qk_rope_head_dim"] = Int.max }.contains("qk_rope_head_dim is \(Int.max)"))
        #expect(try refusal("deepseek_v3") { $0["scoring_func"] = "softmax" }.contains("scoring_func is softmax"))
        #expect(try refusal("deepseek_v3") { $0["topk_method"] = "greedy" }.contains("topk_method is greedy"))
        #expect(try refusal("deepseek_v3") { $0["first_k_dense_replace"] = 1 }.contains("layers.1.mlp.experts.0"))
        #expect(try refusal("deepseek_v3") { $0["q_lora_rank"] = NSNull() }.contains("q_proj"))
    }
}
