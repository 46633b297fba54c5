import Autograd
import Layers

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
    var adapterTargets: [any AdapterTarget] { linears as [any AdapterTarget] + feedForward.banks }

    /// `[tokens, hidden]` → `[tokens, hidden]`.
    /// - Parameter angles: one for each of the decoder's rotations.
    func callAsFunction(
        _ x: Variable, angles: [RotaryAngles], layout: SequenceLayout, cache: KeyValueCache?, in graph: Graph
    ) -> Variable {
        var attended = attention(
            attentionNorm(x, in: graph), angles: rotary.map { angles[$0] }, layout: layout, cache: cache, in: graph)
        if let attentionOutputNorm { attended = attentionOutputNorm(attended, in: graph) }
        let middle = graph.add(x, attended)
        var result = feedForward(feedForwardNorm(middle, in: graph), in: graph)
        if let feedForwardOutputNorm { result = feedForwardOutputNorm(result, in: graph) }
        return graph.add(middle, result)
    }
}
