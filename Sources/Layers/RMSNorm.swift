public import Autograd
public import TensorCore

/// Root-mean-square normalisation with a frozen weight.
public struct RMSNorm {
    /// `[hidden]`, float32.
    public let weight: Tensor
    /// Added to the mean square.
    public let epsilon: Float

    /// Makes a norm from its weight.
    public init(weight: Tensor, epsilon: Float) { (self.weight, self.epsilon) = (weight, epsilon) }

    /// `[tokens, hidden]` → `[tokens, hidden]`.
    public func callAsFunction(_ x: Variable, in graph: Graph) -> Variable {
        graph.rmsNorm(x, weight: Variable(constant: weight), epsilon: epsilon)
    }
}
