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
        let (x, wide) = (noise(rows * (stride + 1), 3), stride + 1)
        let sum = y.indices.map { at in
            let (row, column) = (at / stride, at % stride)
            return Double(y[at]) + (column < columns ? Double(x[row * wide + column]) : 0)
        }
        expectAgreement(
            available(martlet_add_rows_portable, martlet_add_rows_avx2, martlet_add_rows_avx512), .rounding,
            expected: sum, "add_rows \(columns)"
        ) { add in changed(y) { add(Int64(rows), Int64(columns), x, Int64(wide), $0, Int64(stride)) } }
    }

    @Test(arguments: kernelSizes) func lowParts(size: Int) {
        let (a, n) = (noise(size, 1, scale: 3), Int64(size))
        let rounded = written(size) { martlet_round_to_bfloat16_portable(n, a, $0) }
        expectAgreement(
            available(martlet_low_part_portable, martlet_low_part_avx2, martlet_low_part_avx512), .exact,
            expected: zip(a, rounded).map { Double($0 - $1) }, "low_part \(size)"
        ) { low in changed(a) { low(n, $0, $0) } }
    }

    @Test(arguments: kernelSizes) func gatheredColumns(count: Int) {
        let (rows, stride, wide) = (3, 40, count + 2)
        let (x, y) = (noise(rows * stride, 1), noise(rows * wide, 2))
        let columns = (0..<count).map { Int32($0 * 7 % stride) }
        let expected = y.indices.map { at in
            at % wide < count ? Double(x[at / wide * stride + Int(columns[at % wide])]) : Double(y[at])
        }
        expectAgreement(
            available(martlet_gather_columns_portable, martlet_gather_columns_avx2, martlet_gather_columns_avx512), .exact,
            expected: expected, "gather_columns \(count)"
        ) { gather in
            changed(y) { gather(Int64(rows), Int64(count), columns, x, Int64(stride), $0, Int64(wide)) }
        }
        let halves = x.map { UInt16($0.bitPattern >> 16) }
        let widened = y.indices.map { at in
            at % wide < count
                ? Double(Float(bitPattern: UInt32(halves[at / wide * stride + Int(columns[at % wide])]) << 16)) : Double(y[at])
        }
        expectAgreement(
            available(
                martlet_gather_columns_bf16_portable, martlet_gather_columns_bf16_avx2, martlet_gather_columns_bf16_avx512),
            .exact, expected: widened, "gather_columns_bf16 \(count)"
        ) { gather in
            changed(y) { gather(Int64(rows), Int64(count), columns, halves, Int64(stride), $0, Int64(wide)) }
        }
    }

    @Test(arguments: kernelSizes) func productsAndPairs(size: Int) {
        let (a, b, n) = (noise(size, 1, scale: 3), noise(size, 2), Int64(size))
        expectAgreement(
            available(martlet_multiply_portable, martlet_multiply_avx2, martlet_multiply_avx512), .rounding,
            expected: zip(doubles(a), doubles(b)).map { $0 * $1 }, "multiply \(size)"
        ) { multiply in changed(a) { multiply(n, $0, b, $0) } }
        let pairs = zip(a, b).flatMap { [$0, $1] }
        expectAgreement(
            available(martlet_join_pairs_portable, martlet_join_pairs_avx2, martlet_join_pairs_avx512), .exact,
            expected: doubles(pairs), "join_pairs \(size)"
        ) { join in written(2 * size) { join(n, a, b, $0) } }
        expectAgreement(
            available(martlet_split_pairs_portable, martlet_split_pairs_avx2, martlet_split_pairs_avx512), .exact,
            expected: doubles(a + b), "split_pairs \(size)"
        ) { split in
            var second: [Float] = []
            let first = written(size) { first in second = written(size) { split(n, pairs, first, $0) } }
            return first + second
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
