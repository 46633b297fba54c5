import Autograd
import TensorCore
import Testing

/// Gate and up computed together are what they are one after another: result, gradient of the input, and those of the
/// adapters of both.
struct GatedLinearTests {
    private static let (inputs, width, rank) = (37, 150, 3)

    @Test(arguments: [3, 40, 300], [GateFunction.silu, .geluTanh, .clamped(alpha: 1.702, limit: 0.5)])
    func isGateAndUpOneAfterAnother(tokens: Int, function: GateFunction) throws {
        let compute = try Compute(threadCount: 2)
        for dropout: Float in [0, 0.3] { expectSame(tokens, function, dropout, on: compute, tolerance: 1e-5) }
    }

    /// In bfloat16 what is kept is rounded once more on the one way than on the other.
    @Test(arguments: [3, 40, 300], [TileUnit?.none] + TileUnit.usable)
    func isGateAndUpInBfloat16(tokens: Int, tiles: TileUnit?) throws {
        let compute = try Compute(precision: .bfloat16, threadCount: 2, tiles: tiles)
        expectSame(tokens, .silu, 0, on: compute, tolerance: 1e-2)
    }

    /// Nothing is recorded in evaluation, and the result is the same.
    @Test func evaluationIsTheForwardPass() throws {
        let compute = try Compute(threadCount: 2)
        let graphs = [Graph(compute: compute), Graph(compute: compute, gradients: Gradients())]
        let (gate, up) = (layer(1, dropout: 0, on: compute), layer(2, dropout: 0, on: compute))
        let results = graphs.map { graph in
            let x = graph.leaf(random([40, Self.inputs], 9, on: compute))
            return graph.gatedLinear(x, gate: gate, up: up).value.toArray()
        }
        #expect(results[0] == results[1])
    }

    @Test func threadsChangeNoBit() throws {
        func run(_ threads: Int) throws -> [[Float]] {
            let compute = try Compute(precision: .bfloat16, threadCount: threads, tiles: .emulated)
            return values(300, dropout: 0, on: compute) { $0.gatedLinear($1, gate: $2, up: $3) }
        }
        let one = try run(1)
        #expect(try run(2) == one)
        #expect(try run(5) == one)
    }

    private func expectSame(
        _ tokens: Int, _ function: GateFunction, _ dropout: Float, on compute: Compute, tolerance: Float
    ) {
        let together = values(tokens, dropout: dropout, on: compute) { $0.gatedLinear($1, gate: $2, up: $3, function) }
        let apart = values(tokens, dropout: dropout, on: compute) { graph, x, gate, up in
            let parts = graph.linear(x, through: [gate, up])
            return graph.gatedActivation(parts[0], parts[1], function)
        }
        #expect(together.count == 6)
        for (index, (found, expected)) in zip(together, apart).enumerated() {
            let largest = expected.map(abs).max() ?? 0
            let difference = zip(found, expected).map { abs($0 - $1) }.max() ?? .infinity
            #expect(largest > 0.01 && difference < tolerance * largest, "value \(index): \(difference) of \(largest)")
        }
    }

    /// The result, and the gradients of the input and of the factors.
    private func values(
        _ tokens: Int, dropout: Float, on compute: Compute,
        _ body: (Graph, Variable, LinearLayer, LinearLayer) -> Variable
    ) -> [[Float]] {
        let gradients = Gradients()
        let graph = Graph(compute: compute, gradients: gradients)
        graph.dropout = DropoutContext(seed: 1, step: 2, firstToken: 3)
        let (gate, up) = (layer(1, dropout: dropout, on: compute), layer(2, dropout: dropout, on: compute))
        let x = graph.leaf(random([tokens, Self.inputs], 9, on: compute))
        let y = body(graph, x, gate, up)
        graph.backward(from: y, gradient: random(y.value.shape, 10, on: compute))
        let factors = [gate, up].flatMap { [$0.update?.a, $0.update?.b].compactMap { $0 } }
        return [y.value.toArray(), graph.gradient(of: x)?.toArray() ?? []]
            + factors.map { gradients[$0]?.toArray() ?? [] }
    }

    private func layer(_ number: UInt64, dropout: Float, on compute: Compute) -> LinearLayer {
        func parameter(_ shape: [Int], _ stream: UInt64) -> Parameter {
            Parameter(name: "\(stream)", value: random(shape, stream, on: compute))
        }
        return LinearLayer(
            weight: .dense(random([Self.width, Self.inputs], 10 * number, on: compute)),
            bias: random([Self.width], 10 * number + 1, on: compute),
            update: LowRankUpdate(
                a: parameter([Self.rank, Self.inputs], 10 * number + 2),
                b: parameter([Self.width, Self.rank], 10 * number + 3), scale: 0.7, dropoutRate: dropout, site: number))
    }

    private func random(_ shape: [Int], _ stream: UInt64, on compute: Compute) -> Tensor {
        let numbers = RandomStream(seed: 3, purpose: .initialization, stream: stream).uniform(count: shape.reduce(1, *))
        return compute.tensor(numbers.map { 2 * $0 - 1 }, shape: shape)
    }
}
