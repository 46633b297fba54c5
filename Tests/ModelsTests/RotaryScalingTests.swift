import Autograd
import Foundation
import Models
import TensorCore
import Testing

/// Every rotary scaling against logits of another implementation, on the recorded llama with 96 tokens.
@Suite struct RotaryScalingTests {
    @Test func lastLogitsOfEveryScaling() throws {
        let compute = try Compute(threadCount: 2)
        let reference = try Reference("llama")
        let data = try Data(contentsOf: reference.folder.appendingPathComponent("rotary-scalings.json"))
        let cases = try #require(JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        #expect(cases.count == 11)
        let ids = try reference.ids("long_input_ids")
        let plain = Array(try reference.floats("long_logits_last8").suffix(288))
        for item in cases {
            let (name, changes) = (item["name"] as? String ?? "", item["changes"] as? [String: Any] ?? [:])
            let model = try reference.model(on: compute) { $0.merge(changes) { _, new in new } }
            let logits = model.nextTokenLogits(ids, layout: SequenceLayout(count: ids.count), cache: nil, on: compute)
            let expected = (item["last_logits"] as? [Double] ?? []).map { Float($0) }
            #expect(largestDifference(logits.toArray(), expected) < Tolerance.logits, "\(name)")
            // Below its length the dynamic scaling does nothing.
            #expect((largestDifference(plain, expected) > 0.1) == (name != "dynamic short"), "\(name)")
        }
    }

    @Test(
        arguments: [
            ("factor", ["rope_type": "yarn", "factor": 0]), ("factor", ["rope_type": "dynamic"]),
            ("beta_fast", ["rope_type": "yarn", "factor": 2, "beta_fast": -1]),
            ("attention_factor", ["rope_type": "yarn", "factor": 2, "attention_factor": 0]),
            ("short_factor", ["rope_type": "longrope", "long_factor": [1, 1]]),
            ("low_freq_factor", ["rope_type": "llama3", "factor": 2]), ("type 3d", ["rope_type": "3d"]),
        ] as [(String, [String: any Sendable])])
    func impossibleParametersAreRefused(key: String, parameters: [String: any Sendable]) throws {
        for name in ["rope_scaling", "rope_parameters"] {
            let found = try refusal("llama") { $0[name] = parameters as [String: Any] }
            #expect(found.contains(key) && found.contains("config.json"), "\(found)")
        }
    }
}
