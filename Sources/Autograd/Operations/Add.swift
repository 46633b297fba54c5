import TensorCore

extension Graph {
    /// `a + b`, in float32: the residual stream, where no product adds to it. Derivative: both get the gradient as it is.
    public func add(_ a: Variable, _ b: Variable) -> Variable {
        var left = a.value
        return record("add", compute.sum(&left, b.value), inputs: [a, b]) { gradient in [gradient, gradient] }
    }
}
