public import TensorCore

/// Compares the derivative of a computation with finite differences: for tests of one's own operations.
public struct GradientChecker {
    /// What was found for one input.
    public struct Report: Sendable {
        /// Which input.
        public let input: Int
        /// `‖analytic − numeric‖ / (‖analytic‖ + ‖numeric‖)` over all elements; below about 1e-3 is as good as float32 allows.
        public let relativeError: Double
        /// Gradient from ``Graph/backward(from:gradient:)`` and from differences, element by element.
        public let analytic, numeric: [Float]
    }

    /// Step of the central differences.
    public var step: Float
    private let compute: Compute

    /// A checker that evaluates on `compute`.
    public init(on compute: Compute, step: Float = 1e-2) { (self.compute, self.step) = (compute, step) }

    /// Checks the gradients of all inputs of a computation.
    ///
    /// The result is made a scalar by a fixed weighting of its elements, so that errors of single elements cannot cancel.
    /// - Parameters:
    ///   - inputs: float32 tensors; the computation runs twice per element, so keep them small.
    ///   - computation: builds operations on the graph it is given.
    public func check(_ inputs: [Tensor], _ computation: (Graph, [Variable]) -> Variable) -> [Report] {
        let graph = Graph(compute: compute, gradients: Gradients())
        let leaves = inputs.map { graph.leaf(compute.copy($0)) }
        let result = computation(graph, leaves)
        let weights = RandomStream(seed: 7, purpose: .initialization, stream: 0).uniform(count: result.value.count).map { 2 * $0 - 1 }
        graph.backward(from: result, gradient: compute.tensor(weights, shape: result.value.shape))
        return inputs.indices.map { index in
            let analytic = graph.gradient(of: leaves[index])?.toArray() ?? [Float](repeating: 0, count: inputs[index].count)
            let numeric = differences(inputs, index, weights, computation)
            return Report(
                input: index, relativeError: Self.relativeError(analytic, numeric), analytic: analytic, numeric: numeric)
        }
    }

    private func differences(
        _ inputs: [Tensor], _ index: Int, _ weights: [Float], _ computation: (Graph, [Variable]) -> Variable
    ) -> [Float] {
        let values = inputs[index].toArray()
        return values.indices.map { element in
            let sides = [step, -step].map { shift in
                var moved = values
                moved[element] += shift
                var variables = inputs.map { Variable(constant: $0) }
                variables[index] = Variable(constant: compute.tensor(moved, shape: inputs[index].shape))
                let result = computation(Graph(compute: compute), variables).value.toArray()
                return zip(result, weights).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            }
            return Float((sides[0] - sides[1]) / Double(2 * step))
        }
    }

    private static func relativeError(_ a: [Float], _ b: [Float]) -> Double {
        func norm(_ values: some Sequence<Double>) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        let difference = norm(zip(a, b).map { Double($0) - Double($1) })
        let scale = norm(a.map(Double.init)) + norm(b.map(Double.init))
        return scale > 0 ? difference / scale : 0
    }
}
