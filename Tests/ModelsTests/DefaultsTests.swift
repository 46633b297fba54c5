import Autograd
import Foundation
import Models
import TensorCore
import Testing

/// Keys that `config.json` leaves out are what transformers' configuration classes take for them.
@Suite struct DefaultsTests {
    typealias Change = @Sendable (inout [String: Any]) -> Void

    /// A key without which a recorded model must be the one that states the default, and not the recorded one.
    struct Case: CustomTestStringConvertible, Sendable {
        let model, key: String
        let change, preparation: Change
        var testDescription: String { "\(model) without \(key)" }

        init(
            _ model: String, _ key: String, _ value: any Sendable, after preparation: @escaping Change = { _ in }
        ) {
            (self.model, self.key, self.preparation) = (model, key, preparation)
            change = { $0[key] = value }
        }
    }

    static let cases = [
        Case("llama", "rms_norm_eps", 1e-6, after: { $0["rms_norm_eps"] = 1e-2 }),
        Case("llama", "rope_theta", 10_000, after: { $0["rope_theta"] = 500_000 }),
        Case("mixtral", "rope_theta", 1e6, after: { $0["rope_theta"] = 10_000 }),
        Case("smollm3", "rope_theta", 2e6, after: { $0["rope_theta"] = 10_000 }),
        Case("llama4_text", "rope_theta", 5e5, after: { $0["rope_theta"] = 10_000 }),
        Case("llama4_text", "attention_chunk_size", 8192),
        Case("gpt_oss", "rope_theta", 150_000, after: { $0["rope_theta"] = 1000 }),
        Case("gpt_oss", "sliding_window", 128),
        Case(
            "gpt_oss", "rope_scaling",
            [
                "rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false,
                "original_max_position_embeddings": 4096,
            ] as [String: any Sendable], after: { $0["rope_theta"] = 100 }),
        Case(
            "qwen2", "max_window_layers", 28,
            after: { ($0["use_sliding_window"], $0["sliding_window"], $0["max_window_layers"]) = (true, 3, 0) }),
        Case("gemma3_text", "query_pre_attn_scalar", 256),
        Case("gemma3_text", "sliding_window", 4096),
        Case("mistral", "sliding_window", 4096),
        Case("deepseek_v3", "routed_scaling_factor", 2.5, after: { $0["routed_scaling_factor"] = 1 }),
    ]

    @Test(arguments: cases) func leftOut(_ item: Case) throws {
        let compute = try Compute(threadCount: 2)
        let reference = try Reference(item.model)
        let (ids, _, layout) = try reference.batch()
        func logits(_ change: Change) throws -> [Float] {
            let model = try reference.model(on: compute) {
                item.preparation(&$0)
                change(&$0)
            }
            return model.logits(ids, layout: layout, on: compute).toArray()
        }
        let without = try logits { $0[item.key] = nil }
        #expect(try without == logits(item.change))
        #expect(try largestDifference(without, logits { _ in }) > 1e-3)
    }

    /// Null is not left out: Mistral's window is then none, and not the default.
    @Test func nullIsNone() throws {
        let compute = try Compute(threadCount: 2)
        let reference = try Reference("mistral")
        let long = try reference.ids("long_input_ids")
        func logits(_ window: Any) throws -> [Float] {
            let model = try reference.model(on: compute) { $0["sliding_window"] = window }
            return model.logits(long, layout: SequenceLayout(count: long.count), on: compute).toArray()
        }
        #expect(try logits(NSNull()) == logits(4096) && logits(NSNull()) != logits(5))
    }
}
