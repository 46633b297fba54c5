public import Autograd
import TensorCore

/// The gated feed-forward block: `down(f(gate(x)) · up(x))`.
public struct GatedMLP: FeedForward {
    /// Where gate and up come from.
    public enum Input {
        /// Two projections `[width, hidden]`.
        case separate(gate: Linear, up: Linear)
        /// One projection `[2 · width, hidden]`, gates first.
        case fused(Linear)
    }

    /// Gate and up.
    public let input: Input
    /// `[hidden, width]`.
    public let down: Linear
    /// The function between.
    public let function: GateFunction

    /// Makes a block from its projections.
    public init(input: Input, down: Linear, function: GateFunction = .silu) {
        (self.input, self.down, self.function) = (input, down, function)
    }

    /// Projections of gate and up, and down.
    public var linears: [Linear] {
        switch input {
        case .separate(let gate, let up): [gate, up, down]
        case .fused(let both): [both, down]
        }
    }

    /// `[tokens, hidden]` → `[tokens, hidden]`.
    public func callAsFunction(_ x: Variable, addedTo residual: Variable? = nil, in graph: Graph) -> Variable {
        down(gated(x, in: graph), addedTo: residual, in: graph)
    }

    private func gated(_ x: Variable, in graph: Graph) -> Variable {
        switch input {
        case .separate(let gate, let up):
            return Linear.gated(gate: gate, up: up, x, function, in: graph)
        case .fused(let both):
            let parts = graph.split(both(x, in: graph), widths: [down.weight.columns, down.weight.columns])
            return graph.gatedActivation(parts[0], parts[1], function)
        }
    }
}
