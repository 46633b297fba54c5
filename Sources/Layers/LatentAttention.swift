public import Autograd
import TensorCore

/// Multi-head latent attention (DeepSeek-V2): keys and values of all heads come from one narrow vector per token, and a
/// part of every key that all heads share tells positions.
public struct LatentAttention: AttentionLayer {
    /// Where queries come from.
    public enum Query {
        /// One projection to `[heads · headSize]`.
        case direct(Linear)
        /// Through a narrow vector that is normed.
        case narrow(down: Linear, norm: RMSNorm, up: Linear)
    }

    /// Queries; every head is `[content | rotated]`.
    public let query: Query
    /// Projection to `[latent | rotated]`, the norm of the latent part, and the projection of that to
    /// `[heads · (content + value)]`.
    public let keyValueDown: Linear, latentNorm: RMSNorm, keyValueUp: Linear
    /// Projection of the heads' values back to `[hidden]`.
    public let output: Linear
    /// Heads, sizes and scale; there are as many key heads as query heads.
    public let options: AttentionOptions
    /// Elements of a query or key head that are rotated, its last ones.
    public let rotatedSize: Int
    /// Whether rotated pairs are neighbours, `(2i, 2i + 1)`.
    public let interleavedRotation: Bool
    /// Number of the layer, for the cache.
    public let layer: Int

    /// Makes an attention block from its projections.
    public init(
        query: Query, keyValueDown: Linear, latentNorm: RMSNorm, keyValueUp: Linear, output: Linear,
        options: AttentionOptions, rotatedSize: Int, interleavedRotation: Bool, layer: Int
    ) {
        (self.query, self.keyValueDown, self.latentNorm) = (query, keyValueDown, latentNorm)
        (self.keyValueUp, self.output, self.options) = (keyValueUp, output, options)
        (self.rotatedSize, self.interleavedRotation, self.layer) = (rotatedSize, interleavedRotation, layer)
    }

    /// Projections of queries, keys and values, and of the output.
    public var linears: [Linear] {
        let queries: [Linear] =
            switch query {
            case .direct(let projection): [projection]
            case .narrow(let down, _, let up): [down, up]
            }
        return queries + [keyValueDown, keyValueUp, output]
    }

    /// The first projections of queries, and of keys and values.
    public var inputProjections: [Linear] {
        switch query {
        case .direct(let projection): [projection, keyValueDown]
        case .narrow(let down, _, _): [down, keyValueDown]
        }
    }

    /// The narrow vectors, as far as they are normed.
    public var normedWidth: Int {
        guard case .narrow(_, let norm, _) = query else { return latentNorm.weight.count }
        return norm.weight.count + latentNorm.weight.count
    }

    /// `[tokens, hidden]` → `[tokens, hidden]`; see ``AttentionLayer``.
    public func callAsFunction(
        _ x: Variable, angles: RotaryAngles?, layout: SequenceLayout, cache: KeyValueCache? = nil,
        addedTo residual: Variable? = nil, in graph: Graph
    ) -> Variable {
        let content = options.headSize - rotatedSize
        let (queries, latent) = project(x, in: graph)
        let q = rotated(queries, angles, offset: content, size: options.headSize, in: graph)
        let narrow = graph.split(latent, widths: [latentNorm.weight.count, rotatedSize])
        let shared = rotated(narrow[1], angles, offset: 0, size: rotatedSize, in: graph)
        var (k, v) = graph.latentHeads(
            keyValueUp(latentNorm(narrow[0], in: graph), in: graph), rotated: shared, heads: options.heads,
            content: content, value: options.valueSize)
        if let cache {
            let (keys, values) = cache.extend(layer: layer, key: k.value, value: v.value, on: graph.compute)
            (k, v) = (Variable(constant: keys), Variable(constant: values))
        }
        return output(graph.attention(q, k, v, layout: layout, options: options), addedTo: residual, in: graph)
    }

    /// Queries `[tokens, heads · headSize]`, and `[latent | rotated]`.
    private func project(_ x: Variable, in graph: Graph) -> (queries: Variable, latent: Variable) {
        switch query {
        case .direct(let projection):
            let parts = Linear.outputs(of: [projection, keyValueDown], x, in: graph)
            return (parts[0], parts[1])
        case .narrow(let down, let norm, let up):
            let parts = Linear.outputs(of: [down, keyValueDown], x, in: graph)
            return (up(norm(parts[0], in: graph), in: graph), parts[1])
        }
    }

    private func rotated(
        _ x: Variable, _ angles: RotaryAngles?, offset: Int, size: Int, in graph: Graph
    ) -> Variable {
        guard let angles else { return x }
        return graph.rotate(x, by: angles, headSize: size, offset: offset, interleaved: interleavedRotation)
    }
}
