import CKernels
import TensorCore

/// The loss that asks routers to spread tokens over experts (Fedus et al., 2021): over all layers and tokens of a
/// batch, `experts · Σ f_e · p_e`, f_e being the share of tokens that chose expert e and p_e the mean of the softmax of
/// its logits. It is the number of chosen experts where tokens are spread evenly.
///
/// One object serves one micro-batch: routers add to it in the forward pass, and its gradient, which needs the shares
/// of all layers, is added to that of their logits in the backward pass. Where a micro-batch is computed in pieces, one
/// forward pass over all of them counts, and ``counted()`` serves the pieces after that.
public final class LoadBalance {
    /// Factor of the gradient.
    public let weight: Float
    private let totals: Totals
    private let isReplay: Bool

    private final class Totals {
        var chosen: [Int] = []
        var probabilities: [Float] = []
        var tokens = 0
    }

    /// Nothing counted yet.
    public init(weight: Float) { (self.weight, totals, isReplay) = (weight, Totals(), false) }

    private init(replaying other: LoadBalance) { (weight, totals, isReplay) = (other.weight, other.totals, true) }

    /// The same loss for what is computed again: it reads the totals and does not add to them.
    public func counted() -> LoadBalance { LoadBalance(replaying: self) }

    /// The loss so far, without its factor; 0 without routers.
    public var loss: Double {
        guard totals.tokens > 0 else { return 0 }
        let sum = zip(totals.chosen, totals.probabilities).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        return Double(totals.chosen.count) * sum / (Double(totals.tokens) * Double(totals.tokens))
    }

    /// Adds the tokens of one router.
    func add(_ logits: Tensor, _ counts: [Int]) {
        if isReplay { return }
        if totals.chosen.isEmpty {
            totals.chosen = counts.map { _ in 0 }
            totals.probabilities = counts.map { _ in 0 }
        }
        precondition(
            totals.chosen.count == counts.count, "routers over \(counts.count) and \(totals.chosen.count) experts")
        for (expert, count) in counts.enumerated() { totals.chosen[expert] += count }
        totals.probabilities.withUnsafeMutableBufferPointer {
            martlet_router_shares(Int64(logits.rows), Int64(logits.columns), logits.floats, $0.baseAddress)
        }
        totals.tokens += logits.rows
    }

    /// Adds the gradient with respect to one router's logits.
    func addGradient(_ logits: Tensor, into gradient: UnsafeMutablePointer<Float>) {
        guard totals.tokens > 0 else { return }
        let tokens = Float(totals.tokens)
        let factors = totals.chosen.map { Float($0) / tokens }
        martlet_router_shares_backward(
            Int64(logits.rows), Int64(logits.columns), weight * Float(factors.count) / tokens, factors, logits.floats,
            gradient)
    }
}
