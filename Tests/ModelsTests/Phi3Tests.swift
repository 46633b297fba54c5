import Autograd
import Foundation
import Layers
import Models
import TensorCore
import Testing

/// What sets Phi-3 apart; logits, gradients and so on are checked with those of all recorded models.
@Suite struct Phi3Tests {
    @Test func windowOfEveryLayer() throws {
        try expectAblation("phi3", "no_sliding_window") { $0["sliding_window"] = NSNull() }
    }

    @Test func longRoPE() throws {
        try expectAblation("phi3", "no_longrope") { $0["rope_scaling"] = NSNull() }
    }

    /// The recorded change rotates whole heads; the tables do not fit those.
    @Test func partialRotation() throws {
        try expectAblation("phi3", "full_rotary") {
            ($0["partial_rotary_factor"], $0["rope_scaling"]) = (1.0, NSNull())
        }
    }

    /// Both tables need as many numbers as pairs are rotated.
    @Test func tablesFitTheRotatedPart() throws {
        #expect(
            try refusal("phi3") { $0["partial_rotary_factor"] = 1 }.contains(
                "rope_scaling.short_factor must be 8 numbers"))
        #expect(try refusal("phi3") { $0["partial_rotary_factor"] = 0 }.contains("partial_rotary_factor is 0"))
        #expect(try refusal("phi3") { $0["partial_rotary_factor"] = 0.2 }.contains("rotates 3 elements"))
    }

    @Test(arguments: ["su", "yarn"]) func oldNamesOfLongRoPE(type: String) throws {
        let compute = try Compute(threadCount: 2)
        let reference = try Reference("phi3")
        let (ids, _, layout) = try reference.batch()
        let model = try reference.model(on: compute) { object in
            var scaling = object["rope_scaling"] as? [String: Any] ?? [:]
            scaling["type"] = type
            object["rope_scaling"] = scaling
        }
        #expect(
            largestDifference(
                model.logits(ids, layout: layout, on: compute).toArray(), try reference.floats("logits"))
                < Tolerance.logits)
    }

    /// A sequence that grows over the original length turns to the other table, and so do the keys of its past.
    @Test func cacheIsGivenUpWhereTheTableChanges() throws {
        let compute = try Compute(threadCount: 2)
        let reference = try Reference("phi3")
        let model = try reference.model(on: compute)
        #expect(model.cacheStaysValid(from: 40, to: 64) && !model.cacheStaysValid(from: 64, to: 65))
        #expect(model.cacheStaysValid(from: 65, to: 300))
        var ids = Array(try reference.ids("long_input_ids").prefix(60))
        let found = Generation(
            from: model, prompt: ids, maxTokens: 10, stopTokens: [], sampler: TokenSampler(), on: compute)
        for token in found.ids {
            let logits = model.nextTokenLogits(ids, layout: SequenceLayout(count: ids.count), cache: nil, on: compute)
                .toArray()
            #expect(logits.indices.max { logits[$0] < logits[$1] } == Int(token), "token \(ids.count)")
            ids.append(token)
        }
        #expect(found.ids.count == 10)
    }

    @Test func fusedProjectionsAreOneLayerEach() throws {
        let model = try Reference("phi3").model(on: try Compute(threadCount: 1))
        #expect(
            model.linears.prefix(4).map { $0.name.split(separator: ".").last } == [
                "qkv_proj", "o_proj", "gate_up_proj", "down_proj",
            ])
        #expect(model.linears.prefix(4).map(\.weight.rows) == [128, 64, 160, 64])
    }
}
