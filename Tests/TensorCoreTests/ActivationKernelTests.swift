import CKernels
import Foundation
import Testing

private typealias Forward = (
    Int64, UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafeMutablePointer<Float>?
) -> Void
private typealias Backward = (
    Int64, UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafeMutablePointer<Float>?,
    UnsafeMutablePointer<Float>?
) -> Void

private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

/// Gated activations and soft caps: every form against double arithmetic.
@Suite struct ActivationKernelTests {
    /// Runs both directions of a gated activation; the derivatives in place, as the header allows.
    private func check(
        _ size: Int, _ forward: [Forward], _ backward: [Backward], _ what: String,
        _ function: (_ gate: Double, _ up: Double) -> (y: Double, dGate: Double, dUp: Double)
    ) {
        let (gate, up, dy, n) = (noise(size, 1, scale: 8), noise(size, 2, scale: 3), noise(size, 3), Int64(size))
        let values = zip(doubles(gate), doubles(up)).map(function)
        expectAgreement(forward, .exponential, expected: values.map(\.y), "\(what) forward \(size)") { kernel in
            written(size) { kernel(n, gate, up, $0) }
        }
        let slopes = doubles(dy)
        let expected = zip(values, slopes).map { $0.dGate * $1 } + zip(values, slopes).map { $0.dUp * $1 }
        expectAgreement(backward, .exponential, expected: expected, "\(what) backward \(size)") { kernel in
            var result: [Float] = []
            let g = changed(gate) { g in result = changed(up) { u in kernel(n, g, u, dy, g, u) } }
            return g + result
        }
    }

    @Test(arguments: kernelSizes) func silu(size: Int) {
        check(
            size,
            available(
                martlet_silu_gate_forward_portable, martlet_silu_gate_forward_avx2, martlet_silu_gate_forward_avx512),
            available(
                martlet_silu_gate_backward_portable, martlet_silu_gate_backward_avx2, martlet_silu_gate_backward_avx512),
            "silu"
        ) { g, u in
            let s = sigmoid(g)
            return (g * s * u, u * (s + g * s * (1 - s)), g * s)
        }
    }

    @Test(arguments: kernelSizes) func gelu(size: Int) {
        check(
            size,
            available(
                martlet_gelu_gate_forward_portable, martlet_gelu_gate_forward_avx2, martlet_gelu_gate_forward_avx512),
            available(
                martlet_gelu_gate_backward_portable, martlet_gelu_gate_backward_avx2, martlet_gelu_gate_backward_avx512),
            "gelu"
        ) { g, u in
            let root = (2 / Double.pi).squareRoot()
            let t = tanh(root * (g + 0.044715 * g * g * g))
            let slope = 0.5 * (1 + t) + 0.5 * g * (1 - t * t) * root * (1 + 3 * 0.044715 * g * g)
            return (0.5 * g * (1 + t) * u, u * slope, 0.5 * g * (1 + t))
        }
    }

    @Test(arguments: kernelSizes) func clamped(size: Int) {
        let (alpha, limit) = (Float(1.702), Float(2.5))
        func forward(
            _ kernel: @escaping (
                Int64, Float, Float, UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafeMutablePointer<Float>?
            ) -> Void
        ) -> Forward { { kernel($0, alpha, limit, $1, $2, $3) } }
        func backward(
            _ kernel: @escaping (
                Int64, Float, Float, UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafePointer<Float>?,
                UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?
            ) -> Void
        ) -> Backward { { kernel($0, alpha, limit, $1, $2, $3, $4, $5) } }
        check(
            size,
            available(
                forward(martlet_clamped_gate_forward_portable), forward(martlet_clamped_gate_forward_avx2),
                forward(martlet_clamped_gate_forward_avx512)),
            available(
                backward(martlet_clamped_gate_backward_portable), backward(martlet_clamped_gate_backward_avx2),
                backward(martlet_clamped_gate_backward_avx512)), "clamped"
        ) { gate, up in
            let (a, l) = (Double(alpha), Double(limit))
            let (g, u) = (min(gate, l), min(max(up, -l), l))
            let s = sigmoid(a * g)
            return (
                g * s * (u + 1), gate > l ? 0 : (u + 1) * (s + a * g * s * (1 - s)), abs(up) > l ? 0 : g * s
            )
        }
    }

    /// The same functions over bfloat16 numbers: what float32 kernels make of them, rounded once; in place, too.
    @Test(arguments: kernelSizes) func bfloat16(size: Int) {
        typealias Half = UnsafeMutablePointer<UInt16>
        let n = Int64(size)
        func bits(_ values: [Float]) -> [UInt16] {
            values.map { UInt16(truncatingIfNeeded: ($0.bitPattern + 0x7FFF + ($0.bitPattern >> 16 & 1)) >> 16) }
        }
        func wide(_ bits: [UInt16]) -> [Float] { bits.map { Float(bitPattern: UInt32($0) << 16) } }
        let (gate, up, dy) = (bits(noise(size, 1, scale: 8)), bits(noise(size, 2, scale: 3)), bits(noise(size, 3)))
        let tolerance = KernelTolerance(relative: 1.0 / 250, absolute: 1e-7)
        func check(
            _ forward: [(Int64, UnsafePointer<UInt16>, UnsafePointer<UInt16>, Half) -> Void],
            _ backward: [(Int64, UnsafePointer<UInt16>, UnsafePointer<UInt16>, UnsafePointer<UInt16>, Half, Half) -> Void],
            _ whole: Forward, _ slopes: Backward, _ what: String
        ) {
            let y = written(size) { whole(n, wide(gate), wide(up), $0) }
            expectAgreement(forward, tolerance, expected: doubles(y), "\(what) forward \(size)") { kernel in
                var result = gate
                result.withUnsafeMutableBufferPointer { kernel(n, gate, up, $0.baseAddress!) }
                return wide(result)
            }
            var dUp: [Float] = []
            let dGate = written(size) { g in
                dUp = written(size) { slopes(n, wide(gate), wide(up), wide(dy), g, $0) }
            }
            expectAgreement(backward, tolerance, expected: doubles(dGate + dUp), "\(what) backward \(size)") { kernel in
                var (g, u) = (gate, up)
                g.withUnsafeMutableBufferPointer { g in
                    u.withUnsafeMutableBufferPointer { u in
                        kernel(n, g.baseAddress!, u.baseAddress!, dy, g.baseAddress!, u.baseAddress!)
                    }
                }
                return wide(g + u)
            }
        }
        if size == 0 { return }
        check(
            available(
                martlet_silu_gate_forward_bf16_portable, martlet_silu_gate_forward_bf16_avx2,
                martlet_silu_gate_forward_bf16_avx512, martlet_silu_gate_forward_bf16_avx512_bf16),
            available(
                martlet_silu_gate_backward_bf16_portable, martlet_silu_gate_backward_bf16_avx2,
                martlet_silu_gate_backward_bf16_avx512, martlet_silu_gate_backward_bf16_avx512_bf16),
            martlet_silu_gate_forward_portable, martlet_silu_gate_backward_portable, "silu")
        check(
            available(
                martlet_gelu_gate_forward_bf16_portable, martlet_gelu_gate_forward_bf16_avx2,
                martlet_gelu_gate_forward_bf16_avx512, martlet_gelu_gate_forward_bf16_avx512_bf16),
            available(
                martlet_gelu_gate_backward_bf16_portable, martlet_gelu_gate_backward_bf16_avx2,
                martlet_gelu_gate_backward_bf16_avx512, martlet_gelu_gate_backward_bf16_avx512_bf16),
            martlet_gelu_gate_forward_portable, martlet_gelu_gate_backward_portable, "gelu")
        let forms = available(
            (martlet_clamped_gate_forward_bf16_portable, martlet_clamped_gate_backward_bf16_portable),
            (martlet_clamped_gate_forward_bf16_avx2, martlet_clamped_gate_backward_bf16_avx2),
            (martlet_clamped_gate_forward_bf16_avx512, martlet_clamped_gate_backward_bf16_avx512),
            (martlet_clamped_gate_forward_bf16_avx512_bf16, martlet_clamped_gate_backward_bf16_avx512_bf16))
        check(
            forms.map { form in { form.0($0, 1.702, 2.5, $1, $2, $3) } },
            forms.map { form in { form.1($0, 1.702, 2.5, $1, $2, $3, $4, $5) } },
            { martlet_clamped_gate_forward_portable($0, 1.702, 2.5, $1, $2, $3) },
            { martlet_clamped_gate_backward_portable($0, 1.702, 2.5, $1, $2, $3, $4, $5) }, "clamped")
    }

    @Test func extremes() {
        let gate: [Float] = [-3e38, -1000, -88, 0, 88, 1000, 3e38, .nan]
        let ones = [Float](repeating: 1, count: gate.count)
        let forward = available(
            martlet_silu_gate_forward_portable, martlet_silu_gate_forward_avx2, martlet_silu_gate_forward_avx512)
            + available(
                martlet_gelu_gate_forward_portable, martlet_gelu_gate_forward_avx2, martlet_gelu_gate_forward_avx512)
        for kernel in forward {
            let y = written(gate.count) { kernel(Int64(gate.count), gate, ones, $0) }
            #expect(
                abs(y[1]) < 1e-30 && abs(y[2]) < 1e-30 && y[3] == 0 && y[4] == 88 && y[5] == 1000 && y[6] == 3e38
                    && y[7].isNaN)
            #expect(y[0].isFinite)
        }
        for kernel in available(
            martlet_gelu_gate_backward_portable, martlet_gelu_gate_backward_avx2, martlet_gelu_gate_backward_avx512)
        {
            var up: [Float] = []
            let slopes = written(gate.count) { g in
                up = written(gate.count) { kernel(Int64(gate.count), gate, ones, ones, g, $0) }
            }
            #expect(abs(slopes[1]) < 1e-30 && slopes[3] == 0.5 && slopes[4] == 1 && slopes[6] == 1 && slopes[7].isNaN)
            #expect(slopes[0].isFinite && up[0].isFinite)
        }
    }

    @Test(arguments: kernelSizes, [Float(0.5), 50]) func softCap(size: Int, cap: Float) {
        // Small and large arguments: the tangent has two branches.
        let x = noise(size, 1, scale: 4 * cap) + noise(size, 2, scale: 0.3 * cap)
        let n = Int64(2 * size)
        let expected = doubles(x).map { Double(cap) * tanh($0 / Double(cap)) }
        let tolerance = KernelTolerance(relative: 2e-6, absolute: 4e-7 * Double(cap))
        expectAgreement(
            available(martlet_soft_cap_portable, martlet_soft_cap_avx2, martlet_soft_cap_avx512), tolerance,
            expected: expected, "soft_cap \(size)"
        ) { kernel in
            changed(x) { kernel(n, cap, $0) }
        }
    }
}
