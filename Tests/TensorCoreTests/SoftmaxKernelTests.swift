import CKernels
import Foundation
import Testing

/// Softmax, cross-entropy and the exponential below them.
@Suite struct SoftmaxKernelTests {
    private static let exponentials = available(
        martlet_softmax_of_logits_portable, martlet_softmax_of_logits_avx2, martlet_softmax_of_logits_avx512)
    private static let ends = available(
        martlet_cross_entropy_portable, martlet_cross_entropy_avx2, martlet_cross_entropy_avx512)

    @Test func exponentialIsAccurate() {
        let x = (0..<200_000).map { Float(-87 + Double($0) * 175 / 200_000) }
        for kernel in Self.exponentials {
            let y = changed(x) { values in
                withLogits(rows: 1, columns: x.count, values, references: [0], targets: [-1]) { tile in
                    _ = written(2) { kernel(&tile, $0, $0 + 1) }
                }
            }
            let worst = zip(x, y).reduce(0.0) { max($0, abs(Double($1.1) / exp(Double($1.0)) - 1)) }
            #expect(worst < 6e-7, "relative error \(worst)")
        }
    }

    /// Logits of three rows in two tiles: losses, and gradients times the rows' totals.
    @Test(arguments: kernelSizes.filter { $0 > 1 } + [1030], [Float(0), 5]) func crossEntropy(columns: Int, cap: Float) {
        let (rows, first) = (3, columns / 3 + 1)
        let logits = noise(rows * columns, 1, scale: 12), references = noise(rows, 2, scale: 20)
        let targets: [Int32] = [0, Int32(columns / 2), Int32(columns - 1)]
        var expected: [Double] = []
        for r in 0..<rows {
            let plain = doubles(Array(logits[r * columns..<(r + 1) * columns]))
            let row = plain.map { cap == 0 ? $0 : Double(cap) * tanh($0 / Double(cap)) }
            let largest = row.max() ?? 0
            let lse = largest + log(row.reduce(0) { $0 + exp($1 - largest) })
            expected.append(lse - row[Int(targets[r])])
            expected += row.indices.map {
                let slope = cap == 0 ? 1 : 1 - pow(row[$0] / Double(cap), 2)
                return (exp(row[$0] - lse) - ($0 == targets[r] ? 1 : 0)) * slope
            }
        }
        let tolerance = KernelTolerance(relative: 6e-6, absolute: 6e-6)
        expectAgreement(
            Array(zip(Self.exponentials, Self.ends)), tolerance, expected: expected, "\(columns) columns, cap \(cap)"
        ) { exponentials, end in
            var (sums, picked) = ([Float](repeating: 7, count: 2 * rows), [Float](repeating: 7, count: rows))
            var ends: [Float] = []
            let values = changed(logits) { values in
                for (part, range) in [0..<first, first..<columns].enumerated() {
                    withLogits(
                        rows: rows, columns: range.count, first: range.lowerBound, values + range.lowerBound,
                        stride: columns, cap: cap, references: references, targets: targets
                    ) { tile in
                        sums.withUnsafeMutableBufferPointer {
                            exponentials(&tile, $0.baseAddress! + part * rows, &picked)
                        }
                    }
                }
                withLogits(
                    rows: rows, columns: 0, values, cap: cap, references: references, targets: targets
                ) { all in
                    ends = written(3 * rows) { end(&all, 2, sums, picked, $0, $0 + rows, $0 + 2 * rows) }
                }
            }
            return (0..<rows).flatMap { r in
                let (total, loss, own) = (ends[r], ends[rows + r], ends[2 * rows + r])
                var row = Array(values[r * columns..<(r + 1) * columns])
                row[Int(targets[r])] += own
                return [loss] + row.map { $0 / total }
            }
        }
    }

    @Test(arguments: [1, 15, 64, 65, 1000]) func maximaOfRows(columns: Int) {
        let (rows, stride) = (3, columns + 2)
        let x = noise(rows * stride, 1)
        let expected = (0..<rows).map { x[$0 * stride..<$0 * stride + columns].max() ?? 0 }
        for kernel in available(martlet_row_maxima_portable, martlet_row_maxima_avx2, martlet_row_maxima_avx512) {
            #expect(written(rows) { kernel(Int64(rows), Int64(columns), x, Int64(stride), $0) } == expected)
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

    @Test func sumsOfNonFiniteLogitsAreNotSmall() {
        for (count, value) in [(40, Float.nan), (40, .infinity), (5, .nan), (5, .infinity)] {
            for at in [0, count / 2, count - 1] {
                for kernel in Self.exponentials {
                    var logits = noise(count, 1), sums: [Float] = []
                    logits[at] = value
                    _ = changed(logits) { values in
                        withLogits(rows: 1, columns: count, values, references: [0], targets: [1]) { tile in
                            sums = written(2) { kernel(&tile, $0, $0 + 1) }
                        }
                    }
                    #expect(!(sums[0] < 1e30), "\(value) at \(at) of \(count)")
                }
            }
        }
    }
}

/// Calls `body` with logits as kernels take them.
private func withLogits(
    rows: Int, columns: Int, first: Int = 0, _ values: UnsafeMutablePointer<Float>, stride: Int? = nil, cap: Float = 0,
    references: [Float], targets: [Int32], _ body: (inout martlet_logits) -> Void
) {
    references.withUnsafeBufferPointer { references in
        targets.withUnsafeBufferPointer { targets in
            var logits = martlet_logits()
            (logits.rows, logits.columns, logits.first) = (Int64(rows), Int64(columns), Int64(first))
            (logits.values, logits.stride, logits.cap) = (values, Int64(stride ?? columns), cap)
            (logits.references, logits.targets) = (references.baseAddress, targets.baseAddress)
            body(&logits)
        }
    }
}
