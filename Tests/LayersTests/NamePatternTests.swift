import Autograd
import Layers
import TensorCore
import Testing

/// Values by patterns of names, as PEFT's `get_pattern_key` finds them (recorded with PEFT 0.21).
@Suite struct NamePatternTests {
    @Test(arguments: [
        (["q_proj"], "model.layers.0.self_attn.q_proj", 0), (["q_proj"], "q_proj", 0),
        (["q_proj"], "model.layers.0.self_attn.xq_proj", nil), (["proj"], "model.layers.0.self_attn.q_proj", nil),
        (["self_attn.q_proj"], "model.layers.0.self_attn.q_proj", 0), (["self_attn"], "model.layers.0.self_attn.v_proj", nil),
        (["layers.1.*"], "model.layers.10.mlp.up_proj", 0), (["layers.1..*"], "model.layers.10.mlp.up_proj", 0),
        ([#"layers\.1\..*"#], "model.layers.10.mlp.up_proj", nil),
        (["q_proj|v_proj"], "model.layers.0.self_attn.v_proj", 0), (["(?:q|v)_proj$"], "model.layers.0.self_attn.q_proj", 0),
        (["v_proj", "self_attn.v_proj"], "model.layers.0.self_attn.v_proj", 0),
        (["layers.[0-1].mlp.(up|down)_proj", "down_proj"], "model.layers.2.mlp.down_proj", 1),
        ([#"^model\.layers\.0\..*"#], "model.layers.0.self_attn.v_proj", 0),
        ([#"^layers\.0\..*"#], "model.layers.0.self_attn.v_proj", nil),
        ([#".*\.gate_up_proj"#], "model.layers.0.mlp.experts.gate_up_proj", 0),
        (["experts"], "model.layers.0.mlp.experts.gate_up_proj", nil), ([""], "model.layers.2.mlp.down_proj", nil),
        ([#"model\.layers\.(\d+)\.mlp\.experts\.\3\.w1"#], "model.layers.1.mlp.experts.1.w1", 0),
        (["v_proj)|(q_proj"], "model.layers.0.self_attn.q_proj", nil),
    ] as [([String], String, Int?)])
    func theFirstThatMatchesTheEndCounts(patterns: [String], name: String, expected: Int?) throws {
        let found = try NamePatterns(patterns.enumerated().map { (pattern: $1, value: $0) }).value(for: name)
        #expect(found == expected, "\(patterns) \(name)")
    }

    @Test func whatIsNoRegularExpressionIsNamed() {
        #expect(throws: AdapterError.self) { try NamePatterns([("q_proj(", 1)]) }
        do { _ = try NamePatterns([("a", 1), ("[", 2)]) } catch {
            guard case .badPattern("[", _) = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test func everyLayerHasItsRankAndScale() throws {
        let compute = try Compute(threadCount: 1)
        var configuration = AdapterConfiguration(rank: 4, alpha: 8)
        configuration.rankPatterns = try NamePatterns([("q_proj", 1), ("layers.1.mlp.*", 9)])
        configuration.alphaPatterns = try NamePatterns([("up_proj", 6)])
        let cases: [(Bool, [Float])] = [
            (false, [8, 2, 2, 1.5, 2, 8, 2, 2, 6 / 9, 8 / 9]), (true, [8, 4, 4, 3, 4, 8, 4, 4, 2, 8 / 3]),
        ]
        for (usesRSLoRA, scales) in cases {
            configuration.usesRSLoRA = usesRSLoRA
            let layers = namedLayers(on: compute)
            let adapter = try LoRAAdapter(attaching: configuration, to: layers, seed: 1, on: compute)
            #expect(adapter.strengths.map(\.rank) == [1, 4, 4, 4, 4, 1, 4, 4, 9, 9])
            #expect(adapter.strengths.map(\.scale) == scales)
            #expect(layers.map { $0.adapter?.scale } == adapter.strengths.map(\.scale))
            for (layer, strength) in zip(layers, adapter.strengths) {
                #expect(layer.adapter?.a.value.shape == [strength.rank, layer.weight.columns])
                #expect(layer.adapter?.b.value.shape == [layer.weight.rows, strength.rank])
                #expect(
                    adapter.parameterCount { $0 === layer } == strength.rank * (layer.weight.rows + layer.weight.columns))
            }
            #expect(adapter.parameterCount { _ in true } == adapter.parameters.reduce(0) { $0 + $1.value.count })
        }
    }
}
