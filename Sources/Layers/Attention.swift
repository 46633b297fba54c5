public import Autograd
import TensorCore

/// Causal self-attention with grouped heads and rotary positions.
public struct SelfAttention {
    /// Projections to `[heads · headSize]`, `[keyValueHeads · headSize]` twice, and back to `[hidden]`.
    public let query, key, value, output: Linear
    /// Heads, sizes, scale and visibility.
    public let options: AttentionOptions
    /// Number of the layer, for the cache.
    public let layer: Int

    /// Makes an attention block from its projections.
    public init(query: Linear, key: Linear, value: Linear, output: Linear, options: AttentionOptions, layer: Int) {
        (self.query, self.key, self.value, self.output) = (query, key, value, output)
        (self.options, self.layer) = (options, layer)
    }

    /// `[tokens, hidden]` → `[tokens, hidden]`.
    public func callAsFunction(
        _ x: Variable, angles: RotaryAngles, layout: SequenceLayout, cache: KeyValueCache? = nil, in graph: Graph
    ) -> Variable {
        let q = graph.rotate(query(x, in: graph), by: angles, headSize: options.headSize)
        var k = graph.rotate(key(x, in: graph), by: angles, headSize: options.headSize)
        var v = value(x, in: graph)
        if let cache {
            let (keys, values) = cache.extend(layer: layer, key: k.value, value: v.value, on: graph.compute)
            (k, v) = (Variable(constant: keys), Variable(constant: values))
        }
        return output(graph.attention(q, k, v, layout: layout, options: options), in: graph)
    }
}
