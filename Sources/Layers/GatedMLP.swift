public import Autograd

/// The SwiGLU feed-forward block: `down(silu(gate(x)) · up(x))`.
public struct GatedMLP {
    /// `[width, hidden]`, `[width, hidden]` and `[hidden, width]`.
    public let gate, up, down: Linear

    /// Makes a block from its three projections.
    public init(gate: Linear, up: Linear, down: Linear) { (self.gate, self.up, self.down) = (gate, up, down) }

    /// `[tokens, hidden]` → `[tokens, hidden]`.
    public func callAsFunction(_ x: Variable, in graph: Graph) -> Variable {
        down(graph.gatedActivation(gate(x, in: graph), up(x, in: graph)), in: graph)
    }
}
