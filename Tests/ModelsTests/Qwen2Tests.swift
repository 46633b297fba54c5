import Autograd
import Foundation
import Models
import TensorCore
import Testing

/// What sets Qwen2 apart; logits, gradients and so on are checked with those of all recorded models.
@Suite struct Qwen2Tests {
    /// The recorded configuration has a window that it does not use.
    @Test func windowCountsOnlyWhereItIsUsed() throws {
        try expectAblation("qwen2", "window_used") {
            $0["use_sliding_window"] = true
            $0["max_window_layers"] = 0
        }
        try expectAblation("qwen2", "window_used", config: "config.v5.json") {
            $0["use_sliding_window"] = true
            $0["sliding_window"] = 8
            $0["layer_types"] = [String](repeating: "sliding_attention", count: 3)
        }
    }

    /// Without `layer_types`, the layers from `max_window_layers` on have the window.
    @Test func firstLayersHaveNoWindow() throws {
        let compute = try Compute(threadCount: 2)
        let reference = try Reference("qwen2")
        let (ids, _, layout) = try reference.batch()
        func logits(_ change: (inout [String: Any]) -> Void) throws -> [Float] {
            try reference.model(on: compute) {
                $0["use_sliding_window"] = true
                change(&$0)
            }.logits(ids, layout: layout, on: compute).toArray()
        }
        let counted = try logits { _ in }
        let named = try logits { $0["layer_types"] = ["full_attention", "full_attention", "sliding_attention"] }
        #expect(counted == named)
        #expect(largestDifference(counted, try reference.floats("logits")) > 0.1)
        #expect(
            try logits { $0["max_window_layers"] = 3 }
                == reference.model(on: compute).logits(ids, layout: layout, on: compute).toArray())
    }

    @Test func tiedModelsDoWithoutTheirHead() throws {
        #expect(try refusal("qwen2") { $0["tie_word_embeddings"] = true } == "")
    }
}
