import CKernels
import Foundation
import Testing

/// Elementwise kernels: every form against double arithmetic.
@Suite struct ElementwiseKernelTests {
    @Test(arguments: kernelSizes) func sumsAndMultiples(size: Int) {
        let (a, b, n) = (noise(size, 1, scale: 3), noise(size, 2), Int64(size))
        let (x, y) = (doubles(a), doubles(b))
        expectAgreement(
            available(martlet_add_portable, martlet_add_avx2, martlet_add_avx512), .rounding,
            expected: zip(x, y).map { $0 + $1 }, "add \(size)"
        ) { add in written(size) { add(n, a, b, $0) } }
        expectAgreement(
            available(martlet_add_portable, martlet_add_avx2, martlet_add_avx512), .rounding,
            expected: zip(x, y).map { $0 + $1 }, "add in place \(size)"
        ) { add in changed(a) { add(n, $0, b, $0) } }
        expectAgreement(
            available(martlet_add_scaled_portable, martlet_add_scaled_avx2, martlet_add_scaled_avx512), .rounding,
            expected: zip(x, y).map { $1 - 1.5 * $0 }, "add_scaled \(size)"
        ) { add in changed(b) { add(n, -1.5, a, $0) } }
        expectAgreement(
            available(martlet_scale_portable, martlet_scale_avx2, martlet_scale_avx512), .rounding,
            expected: x.map { 0.3 * $0 }, "scale \(size)"
        ) { scale in written(size) { scale(n, 0.3, a, $0) } }
    }

    @Test(arguments: kernelSizes) func bias(columns: Int) {
        let (rows, stride) = (3, columns + 2)
        let (bias, y) = (noise(columns, 1), noise(rows * stride, 2))
        let expected = y.indices.map { Double(y[$0]) + ($0 % stride < columns ? Double(bias[$0 % stride]) : 0) }
        expectAgreement(
            available(martlet_add_bias_portable, martlet_add_bias_avx2, martlet_add_bias_avx512), .rounding,
            expected: expected, "add_bias \(columns)"
        ) { add in
            changed(y) { add(Int64(rows), Int64(columns), bias, $0, Int64(stride)) }
        }
    }

    @Test(arguments: kernelSizes) func gatedActivation(size: Int) {
        let (gate, up, dy, n) = (noise(size, 1, scale: 8), noise(size, 2), noise(size, 3), Int64(size))
        let values = zip(zip(doubles(gate), doubles(up)), doubles(dy)).map { ($0.0, $0.1, $1) }
        func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
        expectAgreement(
            available(
                martlet_silu_gate_forward_portable, martlet_silu_gate_forward_avx2, martlet_silu_gate_forward_avx512),
            .exponential, expected: values.map { $0.0 * sigmoid($0.0) * $0.1 }, "silu_gate_forward \(size)"
        ) { silu in
            written(size) { silu(n, gate, up, $0) }
        }
        let forGate = values.map { g, u, dy -> Double in
            let s = sigmoid(g)
            return dy * u * (s + g * s * (1 - s))
        }
        let forUp = values.map { $2 * $0 * sigmoid($0) }
        expectAgreement(
            available(
                martlet_silu_gate_backward_portable, martlet_silu_gate_backward_avx2, martlet_silu_gate_backward_avx512),
            .exponential, expected: forGate + forUp, "silu_gate_backward \(size)"
        ) { silu in
            // In place of the inputs, as the header allows.
            var result: [Float] = []
            let g = changed(gate) { g in result = changed(up) { u in silu(n, g, u, dy, g, u) } }
            return g + result
        }
    }

    @Test func gatedActivationOfExtremes() {
        let gate: [Float] = [-3e38, -1000, -88, 0, 88, 1000, 3e38, .nan]
        let ones = [Float](repeating: 1, count: gate.count)
        for silu in available(
            martlet_silu_gate_forward_portable, martlet_silu_gate_forward_avx2, martlet_silu_gate_forward_avx512)
        {
            let y = written(gate.count) { silu(Int64(gate.count), gate, ones, $0) }
            #expect(
                abs(y[1]) < 1e-30 && abs(y[2]) < 1e-30 && y[3] == 0 && y[4] == 88 && y[5] == 1000 && y[6] == 3e38
                    && y[7].isNaN)
            #expect(y[0].isFinite)
        }
    }

    @Test(arguments: kernelSizes) func sumOfSquares(size: Int) {
        let x = noise(size, 1, scale: 5)
        let expected = doubles(x).reduce(0) { $0 + $1 * $1 }
        for kernel in available(
            martlet_sum_of_squares_portable, martlet_sum_of_squares_avx2, martlet_sum_of_squares_avx512)
        {
            var result = Double.nan
            kernel(Int64(size), x, &result)
            #expect(KernelTolerance.doubleSum.allows(result, expected), "\(size)")
        }
    }

    @Test(arguments: kernelSizes) func optimiserStep(size: Int) {
        let (g, p, m, v) = (
            noise(size, 1), noise(size, 2), noise(size, 3, scale: 0.1), noise(size, 4, scale: 0.01).map(abs)
        )
        var s = martlet_adamw(
            learning_rate: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-6, weight_decay: 0.1, correction1: 0.271,
            correction2: 0.0297, gradient_scale: 0.5)
        var expected: [[Double]] = [[], [], []]
        for i in 0..<size {
            let gradient = Double(g[i]) * 0.5
            let first = 0.9 * Double(m[i]) + 0.1 * gradient
            let second = 0.99 * Double(v[i]) + 0.01 * gradient * gradient
            let step = 0.01 * (first / 0.271) / ((second / 0.0297).squareRoot() + 1e-6)
            expected[0].append(Double(p[i]) - 0.01 * 0.1 * Double(p[i]) - step)
            expected[1].append(first)
            expected[2].append(second)
        }
        expectAgreement(
            available(martlet_adamw_portable, martlet_adamw_avx2, martlet_adamw_avx512),
            KernelTolerance(relative: 3e-6, absolute: 2e-7), expected: expected.flatMap { $0 }, "adamw \(size)"
        ) { adamw in
            var (first, second): ([Float], [Float]) = ([], [])
            let parameter = changed(p) { p in
                first = changed(m) { m in second = changed(v) { v in adamw(Int64(size), &s, g, p, m, v) } }
            }
            return parameter + first + second
        }
    }
}
