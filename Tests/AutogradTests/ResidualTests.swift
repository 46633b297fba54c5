import Autograd
import TensorCore
import Testing

/// A linear layer that adds its result to the residual stream is the layer and an addition: results, and all gradients.
struct ResidualTests {
    private static let (inputs, outputs, rank) = (37, 150, 3)

    /// Ways of few rows, of whole tiles, and of several panels; with bias, adapter and dropout.
    @Test(arguments: [3, 40, 300], [Float(0), 0.3])
    func isAnAddition(tokens: Int, dropout: Float) throws {
        expectSame(tokens, dropout, on: try Compute(threadCount: 2), tolerance: 1e-5)
        for tiles in [TileUnit?.none] + TileUnit.usable {
            let compute = try Compute(precision: .bfloat16, threadCount: 2, tiles: tiles)
            expectSame(tokens, dropout, on: compute, tolerance: 1e-5)
        }
    }

    /// A residual that is no dense float32 is added apart.
    @Test func otherResidualsAreAddedApart() throws {
        let compute = try Compute(threadCount: 2)
        let (layer, graph) = (layer(dropout: 0, on: compute), Graph(compute: compute))
        let x = Variable(constant: random([40, Self.inputs], 9, on: compute))
        let residual = compute.converted(random([40, Self.outputs], 8, on: compute), to: .bfloat16)
        let found = graph.linear(x, through: layer, addedTo: Variable(constant: residual)).value.toArray()
        let apart = graph.linear(x, through: layer).value.toArray()
        #expect(found == zip(residual.toArray(), apart).map { $0 + $1 })
    }

    /// The gradient that goes around a norm meets the one that goes through it, in either order of the uses.
    @Test(arguments: [false, true]) func gradientsMeetAtTheNorm(isUsedAgain: Bool) throws {
        let compute = try Compute(threadCount: 2)
        let weight = Weight.dense(random([9, 9], 1, on: compute))
        let reports = GradientChecker(on: compute).check([random([67, 9], 2, on: compute), random([9], 3, on: compute)]) {
            graph, inputs in
            let x = inputs[0], normed = graph.rmsNorm(x, weight: inputs[1], epsilon: 1e-5)
            let y = graph.linear(normed, through: LinearLayer(weight: weight), addedTo: x)
            return isUsedAgain ? graph.add(graph.add(y, x), normed) : y
        }
        for report in reports { #expect(report.relativeError < 2e-3, "input \(report.input)") }
    }

    private func expectSame(_ tokens: Int, _ dropout: Float, on compute: Compute, tolerance: Float) {
        let layer = layer(dropout: dropout, on: compute)
        let together = values(tokens, layer, on: compute) { $0.linear($1, through: layer, addedTo: $2) }
        let apart = values(tokens, layer, on: compute) { $0.add($2, $0.linear($1, through: layer)) }
        #expect(together.count == 5)
        for (index, (found, expected)) in zip(together, apart).enumerated() {
            let largest = expected.map(abs).max() ?? 0
            let difference = zip(found, expected).map { abs($0 - $1) }.max() ?? .infinity
            #expect(largest > 0.01 && difference <= tolerance * largest, "value \(index): \(difference) of \(largest)")
        }
    }

    /// The result, and the gradients of the input, the residual and the factors.
    private func values(
        _ tokens: Int, _ layer: LinearLayer, on compute: Compute,
        _ body: (Graph, _ x: Variable, _ residual: Variable) -> Variable
    ) -> [[Float]] {
        let gradients = Gradients()
        let graph = Graph(compute: compute, gradients: gradients)
        graph.dropout = DropoutContext(seed: 1, step: 2, firstToken: 3)
        let x = graph.leaf(random([tokens, Self.inputs], 9, on: compute))
        let residual = graph.leaf(random([tokens, Self.outputs], 8, on: compute))
        let y = body(graph, x, residual)
        graph.backward(from: y, gradient: random(y.value.shape, 10, on: compute))
        let factors = [layer.update?.a, layer.update?.b].compactMap { $0 }
        return [y.value.toArray()] + [x, residual].map { graph.gradient(of: $0)?.toArray() ?? [] }
            + factors.map { gradients[$0]?.toArray() ?? [] }
    }

    private func layer(dropout: Float, on compute: Compute) -> LinearLayer {
        func parameter(_ shape: [Int], _ stream: UInt64) -> Parameter {
            Parameter(name: "\(stream)", value: random(shape, stream, on: compute))
        }
        return LinearLayer(
            weight: .dense(random([Self.outputs, Self.inputs], 1, on: compute)),
            bias: random([Self.outputs], 2, on: compute),
            update: LowRankUpdate(
                a: parameter([Self.rank, Self.inputs], 3), b: parameter([Self.outputs, Self.rank], 4), scale: 0.7,
                dropoutRate: dropout, site: 5))
    }

    private func random(_ shape: [Int], _ stream: UInt64, on compute: Compute) -> Tensor {
        let numbers = RandomStream(seed: 3, purpose: .initialization, stream: stream).uniform(count: shape.reduce(1, *))
        return compute.tensor(numbers.map { 2 * $0 - 1 }, shape: shape)
    }
}
