import Autograd
import TensorCore
import Testing

/// Operations over bfloat16 activations give what they give in float32, to eight bits of mantissa, in both directions.
struct OperationPrecisionTests {
    let (single, half): (Compute, Compute)

    init() throws {
        single = try Compute(threadCount: 2)
        half = Compute(sharing: single, precision: .bfloat16)
    }

    private func random(_ shape: [Int], _ stream: UInt64) -> Tensor {
        let count = shape.reduce(1, *)
        let values = RandomStream(seed: 3, purpose: .initialization, stream: stream).uniform(count: count)
        return single.tensor(values.map { 2 * $0 - 1 }, shape: shape)
    }

    /// The result and the gradients of all inputs; activations come in and go out as float32, and
    /// gradients inside a block have the type of the precision.
    private func run(
        _ compute: Compute, _ inputs: [Tensor], _ computation: (Graph, [Variable]) -> Variable
    ) -> [[Float]] {
        let graph = Graph(compute: compute, gradients: Gradients())
        let type = compute.precision.activationType
        let leaves = inputs.map { graph.leaf(compute.converted(compute.converted($0, to: type), to: .float32)) }
        let result = computation(graph, leaves)
        #expect(result.value.elementType == .float32)
        let dy = compute.converted(random(result.value.shape, 99), to: type)
        graph.backward(from: result, gradient: dy)
        return [result.value.toArray()]
            + leaves.map { leaf in
                let gradient = graph.gradient(of: leaf)
                #expect(gradient?.elementType == type)
                return gradient?.toArray() ?? []
            }
    }

    private func expectAgreement(_ inputs: [Tensor], _ computation: (Graph, [Variable]) -> Variable) {
        for (found, expected) in zip(run(half, inputs, computation), run(single, inputs, computation)) {
            let difference = zip(found, expected).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
            let scale = expected.reduce(0.0) { $0 + Double($1 * $1) }
            #expect(found.count == expected.count && scale > 0)
            #expect((difference / scale).squareRoot() < 1e-2)
            let isRounded = found != expected
            #expect(isRounded)
        }
    }

    @Test(arguments: [GateFunction.silu, .geluTanh, .clamped(alpha: 1.702, limit: 7)])
    func gatedActivation(function: GateFunction) {
        expectAgreement([random([70, 19], 1), random([70, 19], 2)]) { $0.gatedActivation($1[0], $1[1], function) }
        expectAgreement([random([70, 38], 1)]) { $0.gatedActivation(interleaved: $1[0], function) }
    }

    @Test func normOfHeads() {
        let weight = Variable(constant: random([4], 9))
        expectAgreement([random([70, 12], 1)]) { $0.rmsNorm($1[0], weight: weight, epsilon: 1e-5) }
    }

    @Test func splitGate() {
        expectAgreement([random([70, 12], 1)]) { graph, inputs in
            let parts = graph.split(inputs[0], widths: [5, 2, 5])
            return graph.gatedActivation(parts[0], parts[2], .geluTanh)
        }
    }

    @Test func rotation() {
        let angles = RotaryAngles(positions: (0..<70).map { $0 }, frequencies: [1, 0.1], on: single)
        expectAgreement([random([70, 12], 1)]) {
            $0.rotate($1[0], by: angles, headSize: 6, offset: 1, interleaved: true)
        }
    }

    @Test(arguments: [nil, Float(0.7)], [true, false]) func attention(softCap: Float?, withSinks: Bool) {
        let options = AttentionOptions(
            heads: 4, keyValueHeads: 2, headSize: 6, valueSize: 4, scale: 1.4, window: 20, softCap: softCap)
        let (layout, sinks) = (SequenceLayout(offsets: [0, 3, 80]), withSinks ? random([4], 4) : nil)
        let angles = RotaryAngles(positions: (0..<80).map { $0 }, frequencies: [1, 0.1], on: single)
        expectAgreement([random([80, 24], 1), random([80, 20], 2)]) { graph, inputs in
            let keyValue = graph.split(inputs[1], widths: [12, 8])
            // As in models; attention leaves it to the rotation to round the gradient.
            let queries = graph.rotate(inputs[0], by: angles, headSize: 6)
            return graph.attention(queries, keyValue[0], keyValue[1], layout: layout, options: options, sinks: sinks)
        }
    }
}
