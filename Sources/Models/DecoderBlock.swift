import Autograd
import Layers
import TensorCore

/// A decoder block: `x += attention(norm(x)); x += feedForward(norm(x))`, where the two results may be normed again
/// before they are added. A class, so that a pass over the blocks copies none.
final class DecoderBlock {
    let attentionNorm: RMSNorm
    let attention: any AttentionLayer
    /// Norm of the result of the attention.
    let attentionOutputNorm: RMSNorm?
    let feedForwardNorm: RMSNorm
    let feedForward: any FeedForward
    /// Norm of the result of the feed-forward part.
    let feedForwardOutputNorm: RMSNorm?
    /// Which of the decoder's rotations positions are told by; `nil` for a layer without positions.
    let rotary: Int?

    init(
        attentionNorm: RMSNorm, attention: any AttentionLayer, attentionOutputNorm: RMSNorm?, feedForwardNorm: RMSNorm,
        feedForward: any FeedForward, feedForwardOutputNorm: RMSNorm?, rotary: Int?
    ) {
        (self.attentionNorm, self.attention, self.attentionOutputNorm) = (attentionNorm, attention, attentionOutputNorm)
        (self.feedForwardNorm, self.feedForward) = (feedForwardNorm, feedForward)
        (self.feedForwardOutputNorm, self.rotary) = (feedForwardOutputNorm, rotary)
    }

    var linears: [Linear] { attention.linears + feedForward.linears }
    /// Elements per token that its norms give, all together.
    var normedWidth: Int {
        let norms = [attentionNorm, attentionOutputNorm, feedForwardNorm, feedForwardOutputNorm]
        return norms.reduce(attention.normedWidth) { $0 + ($1?.weight.count ?? 0) }
    }
    /// The matrices that it multiplies with.
    var weights: [Weight] {
        linears.filter { $0.role != .experts }.map(\.weight) + feedForward.banks.flatMap(\.weight.weights)
    }
    var adapterTargets: [any AdapterTarget] { linears as [any AdapterTarget] + feedForward.banks }

    /// `[tokens, hidden]` → `[tokens, hidden]`.
    /// - Parameter angles: one for each of the decoder's rotations.
    func callAsFunction(
        _ x: Variable, angles: [RotaryAngles], layout: SequenceLayout, cache: KeyValueCache?, in graph: Graph
    ) -> Variable {
        let middle = sum(x, attentionOutputNorm, in: graph) { residual in
            attention(
                attentionNorm(x, in: graph), angles: rotary.map { angles[$0] }, layout: layout, cache: cache,
                addedTo: residual, in: graph)
        }
        return sum(middle, feedForwardOutputNorm, in: graph) { residual in
            feedForward(feedForwardNorm(middle, in: graph), addedTo: residual, in: graph)
        }
    }

    /// `x + part`, where the part is normed before, if there is a norm; else it adds itself.
    private func sum(
        _ x: Variable, _ norm: RMSNorm?, in graph: Graph, _ part: (_ addedTo: Variable?) -> Variable
    ) -> Variable {
        guard let norm else { return part(x) }
        return graph.add(x, norm(part(nil), in: graph))
    }
}
