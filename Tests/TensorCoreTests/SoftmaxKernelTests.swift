import CKernels
import Foundation
import Testing

/// Softmax, cross-entropy and the exponential below them.
@Suite struct SoftmaxKernelTests {
    @Test func exponentialIsAccurateBelowZero() {
        // What cross_entropy leaves of a row that begins with its largest logit 0 is exp(x).
        let (rows, columns) = (12_500, 17)
        let x = (0..<rows * columns).map { index in
            index % columns == 0 ? 0 : Float(-87 + Double(index / columns * 16 + index % columns - 1) * 87 / 200_000)
        }
        for kernel in available(
            martlet_cross_entropy_portable, martlet_cross_entropy_avx2, martlet_cross_entropy_avx512)
        {
            let y = changed(x) { logits in
                _ = written(2 * rows) {
                    kernel(Int64(rows), Int64(columns), [Int32](repeating: 0, count: rows), logits, $0, $0 + rows)
                }
            }
            let worst = (0..<rows).reduce(0.0) { worst, row in
                // But for the target's own element, from which the total is taken.
                let at = row * columns + 1
                return (at..<at + 16).reduce(worst) { max($0, abs(Double(y[$1]) / exp(Double(x[$1])) - 1)) }
            }
            #expect(worst < 6e-7, "relative error \(worst)")
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
                values = written(2 * rows) {
                    kernel(Int64(rows), Int64(columns), targets, logits, $0, gradient == 1 ? $0 + rows : nil)
                }
            }
            let whole = changedLogits.indices.map { changedLogits[$0] / values[rows + $0 / columns] }
            return values.prefix(rows) + (gradient == 1 ? whole : [])
        }
    }

    /// The same numbers as in float32, rounded.
    @Test(arguments: kernelSizes.filter { $0 > 0 } + [1024, 2080], [false, true])
    func roundedCrossEntropy(columns: Int, factors: Bool) {
        let (rows, stride) = (3, columns + 5)
        let logits = noise(rows * columns, 1, scale: 12), slopes = noise(rows * columns, 2)
        let targets: [Int32] = [0, Int32(columns / 2), Int32(columns - 1)]
        let (n, width) = (Int64(rows), Int64(columns))
        let exact = available(martlet_cross_entropy_portable, martlet_cross_entropy_avx2, martlet_cross_entropy_avx512)
        for (level, kernel) in available(
            martlet_cross_entropy_bf16_portable, martlet_cross_entropy_bf16_avx2, martlet_cross_entropy_bf16_avx512,
            martlet_cross_entropy_bf16_avx512_bf16
        ).enumerated() {
            var expected: [Float] = [], gradient = [UInt16](repeating: 0xABCD, count: rows * stride)
            let unrounded = changed(logits) { logits in
                expected = written(2 * rows) { exact[min(level, exact.count - 1)](n, width, targets, logits, $0, $0 + rows) }
            }
            let found = written(2 * rows) {
                kernel(n, width, targets, logits, factors ? slopes : nil, $0, $0 + rows, &gradient, Int64(stride))
            }
            #expect(found == expected, "level \(level), \(columns) columns")
            for at in gradient.indices {
                let (row, column) = (at / stride, at % stride)
                guard column < columns else { #expect(gradient[at] == 0xABCD); continue }
                let value = unrounded[row * columns + column] * (factors ? slopes[row * columns + column] : 1)
                let rounded = UInt16((value.bitPattern + 0x7FFF + (value.bitPattern >> 16 & 1)) >> 16)
                #expect(gradient[at] == rounded, "level \(level), \(row), \(column) of \(columns)")
            }
        }
    }

    @Test(arguments: [1, 15, 16, 17, 255, 256, 257, 3000]) func indexOfLargest(count: Int) {
        for place in Set([0, 1, count / 2, count - 1]) where place < count {
            var x = noise(count, 1)
            for (index, value) in [(place, 3), (count - 1, 3)] { x[index] = Float(value) }
            if place > 0 { x[0] = .nan }
            for kernel in available(
                martlet_index_of_largest_portable, martlet_index_of_largest_avx2, martlet_index_of_largest_avx512)
            {
                var index: Int64 = -1
                kernel(Int64(count), x, &index)
                #expect(index == place, "\(place) of \(count)")
                kernel(Int64(count), [Float](repeating: .nan, count: count), &index)
                #expect(index == 0)
            }
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
                    let loss = written(1) { loss in _ = changed(logits) { kernel(1, Int64(count), [1], $0, loss, nil) } }
                    #expect(!loss[0].isFinite, "\(value) at \(at) of \(count)")
                }
            }
        }
    }
}
