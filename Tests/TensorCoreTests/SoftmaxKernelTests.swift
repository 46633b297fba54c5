import CKernels
import Foundation
import Testing

/// Softmax, cross-entropy and the exponential below them.
@Suite struct SoftmaxKernelTests {
    private static let kernels = available(
        martlet_cross_entropy_f32_portable, martlet_cross_entropy_f32_avx2, martlet_cross_entropy_f32_avx512)

    @Test func exponentialIsAccurateBelowZero() {
        // What cross_entropy leaves of a row that begins with its largest logit 0 is exp(x).
        let (rows, columns) = (12_500, 17)
        let x = (0..<rows * columns).map { index in
            index % columns == 0 ? 0 : Float(-87 + Double(index / columns * 16 + index % columns - 1) * 87 / 200_000)
        }
        for kernel in Self.kernels {
            let y = changed(x) { logits in
                _ = written(2 * rows) {
                    kernel(
                        Int64(rows), Int64(columns), [Int32](repeating: 0, count: rows), logits, nil, $0, $0 + rows, logits,
                        Int64(columns))
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

    @Test(arguments: kernelSizes.filter { $0 > 0 }, [false, true]) func crossEntropy(columns: Int, factors: Bool) {
        let rows = 3
        let logits = noise(rows * columns, 1, scale: 12), factor = noise(rows * columns, 2)
        let targets: [Int32] = [0, Int32(columns / 2), Int32(columns - 1)]
        var (losses, slopes) = ([Double](), [Double]())
        for r in 0..<rows {
            let row = doubles(Array(logits[r * columns..<(r + 1) * columns]))
            let largest = row.max() ?? 0
            let lse = largest + log(row.reduce(0) { $0 + exp($1 - largest) })
            losses.append(lse - row[Int(targets[r])])
            slopes += row.indices.map {
                (exp(row[$0] - lse) - ($0 == targets[r] ? 1 : 0)) * (factors ? Double(factor[r * columns + $0]) : 1)
            }
        }
        let tolerance = KernelTolerance(relative: 3e-6, absolute: 3e-6)
        let (n, width) = (Int64(rows), Int64(columns))
        expectAgreement(
            available(martlet_cross_entropy_portable, martlet_cross_entropy_avx2, martlet_cross_entropy_avx512),
            tolerance, expected: losses, "cross_entropy \(columns)"
        ) { kernel in
            written(rows) { kernel(n, width, targets, logits, $0) }
        }
        expectAgreement(Self.kernels, tolerance, expected: losses + slopes, "cross_entropy_f32 \(columns)") { kernel in
            var values: [Float] = []
            let gradient = changed(logits) { logits in
                values = written(2 * rows) {
                    kernel(n, width, targets, logits, factors ? factor : nil, $0, $0 + rows, logits, width)
                }
            }
            return values.prefix(rows) + gradient.indices.map { gradient[$0] / values[rows + $0 / columns] }
        }
    }

    /// The same numbers as in float32, rounded; rows of both may lie apart.
    @Test(arguments: kernelSizes.filter { $0 > 0 } + [1024, 2080], [false, true])
    func roundedCrossEntropy(columns: Int, factors: Bool) {
        let (rows, stride) = (3, columns + 5)
        let logits = noise(rows * columns, 1, scale: 12), slopes = noise(rows * columns, 2)
        let targets: [Int32] = [0, Int32(columns / 2), Int32(columns - 1)]
        let (n, width, distance) = (Int64(rows), Int64(columns), Int64(stride))
        for (level, kernel) in available(
            martlet_cross_entropy_bf16_portable, martlet_cross_entropy_bf16_avx2, martlet_cross_entropy_bf16_avx512,
            martlet_cross_entropy_bf16_avx512_bf16
        ).enumerated() {
            let exact = Self.kernels[min(level, Self.kernels.count - 1)], factors = factors ? slopes : nil
            var unrounded = [Float](repeating: 7, count: rows * stride)
            var rounded = [UInt16](repeating: 0xABCD, count: rows * stride)
            let expected = written(2 * rows) {
                exact(n, width, targets, logits, factors, $0, $0 + rows, &unrounded, distance)
            }
            let found = written(2 * rows) {
                kernel(n, width, targets, logits, factors, $0, $0 + rows, &rounded, distance)
            }
            #expect(found == expected, "level \(level), \(columns) columns")
            for (at, value) in unrounded.enumerated() {
                guard at % stride < columns else {
                    #expect(value == 7 && rounded[at] == 0xABCD)
                    continue
                }
                let bits = UInt16((value.bitPattern + 0x7FFF + (value.bitPattern >> 16 & 1)) >> 16)
                #expect(rounded[at] == bits, "level \(level), \(at / stride), \(at % stride) of \(columns)")
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
        let alone = available(martlet_cross_entropy_portable, martlet_cross_entropy_avx2, martlet_cross_entropy_avx512)
        for (count, value) in [(40, Float.nan), (40, .infinity), (5, .nan), (5, .infinity)] {
            for at in [0, count / 2, count - 1] {
                var logits = noise(count, 1)
                logits[at] = value
                var losses = alone.map { kernel in written(1) { kernel(1, Int64(count), [1], logits, $0) }[0] }
                losses += Self.kernels.map { kernel in
                    written(2 + count) { kernel(1, Int64(count), [1], logits, nil, $0, $0 + 1, $0 + 2, Int64(count)) }[0]
                }
                #expect(losses.allSatisfy { !$0.isFinite }, "\(value) at \(at) of \(count)")
            }
        }
    }
}
