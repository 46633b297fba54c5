import CKernels
import Foundation
import Testing

/// Softmax, cross-entropy and the exponential below them.
@Suite struct SoftmaxKernelTests {
    /// A softmax is good to this, relative to its largest element 1.
    static let softmax = KernelTolerance(relative: 3e-6, absolute: 1e-6)

    @Test func exponentialIsAccurateOverItsRange() {
        // attention_weights computes exp(scale · x − lse); with 1 and 0 it is the bare exponential.
        let x = (0...200_000).map { Float(-87 + Double($0) * 175 / 200_000) }
        let (first, last, none): ([Int32], [Int32], [Float]) = ([0], [Int32(x.count)], [0])
        for kernel in available(
            martlet_attention_weights_portable, martlet_attention_weights_avx2, martlet_attention_weights_avx512)
        {
            let y = changed(x) { kernel(1, Int64(x.count), Int64(x.count), 1, first, last, none, $0) }
            let worst = zip(x, y).map { abs(Double($1) / exp(Double($0)) - 1) }.max() ?? .infinity
            #expect(worst < 2e-7, "relative error \(worst)")
            let special = changed([0, -1000, -.infinity, .nan, 1000]) { kernel(1, 5, 5, 1, first, [5], none, $0) }
            #expect(
                special[0] == 1 && special[1] < 2e-38 && special[2] == special[1] && special[3].isNaN
                    && special[4] > 1e38)
        }
    }

    @Test(arguments: kernelSizes.filter { $0 > 0 }, [-Float.infinity, -2, 11])
    func attention(columns: Int, sink: Float) {
        let (rows, stride, scale) = (4, columns + 2, 0.7)
        let scores = noise(rows * stride, 1, scale: 9)
        let first: [Int32] = [0, 0, Int32(columns / 2), Int32(columns - 1)]
        let last: [Int32] = [Int32(columns), Int32(columns / 2 + 1), Int32(columns), Int32(columns)]
        var (weights, lse) = (doubles(scores), [Double]())
        for r in 0..<rows {
            let seen = Int(first[r])..<Int(last[r])
            let largest = max(Double(sink), seen.map { scale * Double(scores[r * stride + $0]) }.max() ?? 0)
            let total = seen.reduce(exp(Double(sink) - largest)) {
                $0 + exp(scale * Double(scores[r * stride + $1]) - largest)
            }
            lse.append(largest + log(total))
            for c in 0..<columns {
                let at = r * stride + c
                weights[at] = seen.contains(c) ? exp(scale * Double(scores[at]) - lse[r]) : 0
            }
        }
        expectAgreement(
            available(
                martlet_attention_softmax_portable, martlet_attention_softmax_avx2, martlet_attention_softmax_avx512),
            Self.softmax, expected: weights + lse, "attention_softmax \(columns)"
        ) { softmax in
            var sums: [Float] = []
            let result = changed(scores) { scores in
                sums = written(rows) {
                    softmax(
                        Int64(rows), Int64(columns), Int64(stride), Float(scale), sink, first, last, scores, $0)
                }
            }
            return result + sums
        }
        let known = lse.map { Float($0) }
        expectAgreement(
            available(
                martlet_attention_weights_portable, martlet_attention_weights_avx2, martlet_attention_weights_avx512),
            Self.softmax, expected: weights, "attention_weights \(columns)"
        ) { softmax in
            changed(scores) {
                softmax(Int64(rows), Int64(columns), Int64(stride), Float(scale), first, last, known, $0)
            }
        }
    }

    @Test(arguments: kernelSizes) func attentionBackward(columns: Int) {
        let (rows, stride) = (3, columns + 1)
        let (weights, delta, d) = (noise(rows * stride, 1), noise(rows, 2), noise(rows * stride, 3))
        let expected = d.indices.map { at in
            at % stride < columns
                ? Double(weights[at]) * (Double(d[at]) - Double(delta[at / stride])) * 0.3 : Double(d[at])
        }
        expectAgreement(
            available(
                martlet_attention_softmax_backward_portable, martlet_attention_softmax_backward_avx2,
                martlet_attention_softmax_backward_avx512), .rounding, expected: expected, "softmax_backward \(columns)"
        ) { backward in
            changed(d) { backward(Int64(rows), Int64(columns), Int64(stride), 0.3, weights, delta, $0) }
        }
    }

    @Test(arguments: kernelSizes.filter { $0 > 0 }, [0, 1]) func crossEntropy(columns: Int, gradient: Int) {
        let rows = 3
        let logits = noise(rows * columns, 1, scale: 12)
        let targets: [Int32] = [0, Int32(columns / 2), Int32(columns - 1)]
        var (losses, slopes) = ([Double](), [Double]())
        for r in 0..<rows {
            let row = doubles(Array(logits[r * columns..<(r + 1) * columns]))
            let largest = row.max() ?? 0
            let lse = largest + log(row.reduce(0) { $0 + exp($1 - largest) })
            losses.append(lse - row[Int(targets[r])])
            slopes += row.indices.map { exp(row[$0] - lse) - ($0 == targets[r] ? 1 : 0) }
        }
        let tolerance = KernelTolerance(relative: 3e-6, absolute: 3e-6)
        expectAgreement(
            available(martlet_cross_entropy_portable, martlet_cross_entropy_avx2, martlet_cross_entropy_avx512),
            tolerance,
            expected: losses + (gradient == 1 ? slopes : []), "cross_entropy \(columns)"
        ) { kernel in
            var values: [Float] = []
            let changedLogits = changed(logits) { logits in
                values = written(rows) { kernel(Int64(rows), Int64(columns), targets, Int32(gradient), logits, $0) }
            }
            return values + (gradient == 1 ? changedLogits : [])
        }
    }

    @Test func lossOfNonFiniteLogitsIsNotFinite() {
        for kernel in available(
            martlet_cross_entropy_portable, martlet_cross_entropy_avx2, martlet_cross_entropy_avx512)
        {
            for (count, value) in [(40, Float.nan), (40, .infinity), (5, .nan), (5, .infinity)] {
                for at in [0, count / 2, count - 1] {
                    var logits = noise(count, 1)
                    logits[at] = value
                    let loss = written(1) { loss in _ = changed(logits) { kernel(1, Int64(count), [1], 1, $0, loss) } }
                    #expect(!loss[0].isFinite, "\(value) at \(at) of \(count)")
                }
            }
        }
    }
}
