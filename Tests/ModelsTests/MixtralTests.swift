import Foundation
import Testing

/// What sets Mixtral apart; logits, gradients and so on are checked with those of all recorded models.
@Suite struct MixtralTests {
    @Test(arguments: ["config.json", "config.v5.json"]) func expertsOfAToken(config: String) throws {
        try expectAblation("mixtral", "top1", config: config) { $0["num_experts_per_tok"] = 1 }
    }

    @Test func impossibleNumbersAreRefused() throws {
        #expect(try refusal("mixtral") { $0["num_experts_per_tok"] = 5 }.contains("num_experts_per_tok (5) is more than"))
        #expect(try refusal("mixtral") { $0["num_local_experts"] = 0 }.contains("num_local_experts is 0"))
        #expect(try refusal("mixtral") { $0["num_local_experts"] = NSNull() }.contains("num_local_experts is missing"))
        // One expert less than the checkpoint has leaves tensors over, one more misses some; the router comes first.
        #expect(try refusal("mixtral") { $0["num_local_experts"] = 3 }.contains("block_sparse_moe.gate.weight has shape [4, 64]"))
        #expect(try refusal("mixtral") { $0["num_local_experts"] = 5 }.contains("experts.4.w1.weight"))
    }
}
