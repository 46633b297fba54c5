import Autograd
import Layers

/// A pre-norm decoder block: `x += attention(norm(x)); x += mlp(norm(x))`.
struct DecoderBlock {
    let attentionNorm: RMSNorm
    let attention: SelfAttention
    let mlpNorm: RMSNorm
    let mlp: GatedMLP

    var linears: [Linear] {
        [attention.query, attention.key, attention.value, attention.output, mlp.gate, mlp.up, mlp.down]
    }

    /// `[tokens, hidden]` → `[tokens, hidden]`.
    func callAsFunction(
        _ x: Variable, angles: RotaryAngles, layout: SequenceLayout, cache: KeyValueCache?, in graph: Graph
    ) -> Variable {
        let attended = attention(attentionNorm(x, in: graph), angles: angles, layout: layout, cache: cache, in: graph)
        let middle = graph.add(x, attended)
        return graph.add(middle, mlp(mlpNorm(middle, in: graph), in: graph))
    }
}
