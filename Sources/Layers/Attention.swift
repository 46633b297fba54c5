public import Autograd
import Foundation
public import TensorCore

/// Causal self-attention with grouped heads and rotary positions.
public struct SelfAttention: AttentionLayer {
    /// Where queries, keys and values come from.
    public enum Input {
        /// Projections to `[heads · headSize]`, `[keyValueHeads · headSize]` and `[keyValueHeads · valueSize]`.
        case separate(query: Linear, key: Linear, value: Linear)
        /// One projection to all three, side by side.
        case fused(Linear)
    }

    /// Norms of every query head and every key head.
    public struct HeadNorms {
        /// Weights `[headSize]`.
        public let query, key: RMSNorm
        /// Whether they come after the rotation instead of before it.
        public let afterRotation: Bool

        /// Combines two norms.
        public init(query: RMSNorm, key: RMSNorm, afterRotation: Bool = false) {
            (self.query, self.key, self.afterRotation) = (query, key, afterRotation)
        }
    }

    /// Grows queries with their position, so that attention stays sharp over long contexts (Llama 4): by
    /// `1 + strength · ln(1 + ⌊(position + 1) / interval⌋)`.
    public struct Temperature: Sendable {
        let strength, interval: Double

        /// Describes the growth.
        public init(strength: Double, interval: Double) { (self.strength, self.interval) = (strength, interval) }

        /// Factor of a query at a position.
        func factor(_ position: Int32) -> Float {
            Float(1 + strength * log1p(((Double(position) + 1) / interval).rounded(.down)))
        }
    }

    /// Queries, keys and values.
    public let input: Input
    /// Projection back to `[hidden]`.
    public let output: Linear
    /// Heads, sizes, scale and visibility.
    public let options: AttentionOptions
    /// Norms of query and key heads, if there are any.
    public let headNorms: HeadNorms?
    /// Whether rotated pairs are neighbours, `(2i, 2i + 1)`.
    public let interleavedRotation: Bool
    /// One more score per head, `[heads]`; see ``Graph/attention(_:_:_:layout:options:sinks:)``.
    public let sinks: Tensor?
    /// Growth of queries with their position, if there is one.
    public let temperature: Temperature?
    /// Number of the layer, for the cache.
    public let layer: Int

    /// Makes an attention block from its projections.
    public init(
        input: Input, output: Linear, options: AttentionOptions, headNorms: HeadNorms? = nil,
        interleavedRotation: Bool = false, sinks: Tensor? = nil, temperature: Temperature? = nil, layer: Int
    ) {
        (self.input, self.output, self.options, self.headNorms) = (input, output, options, headNorms)
        (self.interleavedRotation, self.sinks) = (interleavedRotation, sinks)
        (self.temperature, self.layer) = (temperature, layer)
    }

    /// Projections of queries, keys and values, and of the output.
    public var linears: [Linear] { inputProjections + [output] }

    /// Projections of queries, keys and values.
    public var inputProjections: [Linear] {
        switch input {
        case .separate(let query, let key, let value): [query, key, value]
        case .fused(let all): [all]
        }
    }

    /// All query and key heads, if they are normed.
    public var normedWidth: Int { headNorms == nil ? 0 : (options.heads + options.keyValueHeads) * options.headSize }

    /// `[tokens, hidden]` → `[tokens, hidden]`; see ``AttentionLayer``.
    public func callAsFunction(
        _ x: Variable, angles: RotaryAngles?, layout: SequenceLayout, cache: KeyValueCache? = nil,
        addedTo residual: Variable? = nil, in graph: Graph
    ) -> Variable {
        let projected = project(x, in: graph)
        var q = positioned(projected.q, headNorms?.query, angles, in: graph)
        if let temperature {
            let factors = layout.positions.map(temperature.factor)
            q = graph.scaleRows(q, by: graph.compute.tensor(factors, shape: [factors.count]))
        }
        var (k, v) = (positioned(projected.k, headNorms?.key, angles, in: graph), projected.v)
        if let cache {
            let (keys, values) = cache.extend(layer: layer, key: k.value, value: v.value, on: graph.compute)
            (k, v) = (Variable(constant: keys), Variable(constant: values))
        }
        return output(
            graph.attention(q, k, v, layout: layout, options: options, sinks: sinks), addedTo: residual, in: graph)
    }

    private func project(_ x: Variable, in graph: Graph) -> (q: Variable, k: Variable, v: Variable) {
        switch input {
        case .separate(let query, let key, let value):
            let parts = Linear.outputs(of: [query, key, value], x, in: graph)
            return (parts[0], parts[1], parts[2])
        case .fused(let all):
            let keyWidth = options.keyValueHeads * options.headSize
            let parts = graph.split(
                all(x, in: graph),
                widths: [options.heads * options.headSize, keyWidth, options.keyValueHeads * options.valueSize])
            return (parts[0], parts[1], parts[2])
        }
    }

    /// Norm and rotation of all heads.
    private func positioned(_ x: Variable, _ norm: RMSNorm?, _ angles: RotaryAngles?, in graph: Graph) -> Variable {
        var x = x
        if let norm, headNorms?.afterRotation == false { x = norm(x, in: graph) }
        if let angles {
            x = graph.rotate(x, by: angles, headSize: options.headSize, interleaved: interleavedRotation)
        }
        if let norm, headNorms?.afterRotation == true { x = norm(x, in: graph) }
        return x
    }
}
