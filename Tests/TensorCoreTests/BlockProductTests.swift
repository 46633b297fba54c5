import CKernels
import Testing

/// Products of blocks and panels against double arithmetic, at sizes with and without tails.
@Suite struct BlockProductTests {
    private static let tolerance = KernelTolerance(relative: 2e-5, absolute: 2e-5)

    @Test(arguments: [(1, 1, 1), (6, 4, 64), (7, 5, 65), (64, 3, 130), (17, 2, 0), (13, 9, 16)], [false, true])
    func blocks(sizes: (Int, Int, Int), isTransposed: Bool) {
        let (rows, vectors, depth) = sizes
        let (columns, leftStride) = (16 * vectors, (isTransposed ? rows : depth) + 3)
        let (left, right) = (noise(leftStride * max(rows, depth), 1), noise(depth * (columns + 1), 2))
        let old = noise(rows * columns, 3)
        for accumulate in [false, true] where accumulate || depth > 0 {
            let expected = old.indices.map { at in
                (0..<depth).reduce(accumulate ? Double(old[at]) : 0) { sum, d in
                    let l = left[isTransposed ? d * leftStride + at / columns : at / columns * leftStride + d]
                    return sum + Double(l) * Double(right[d * (columns + 1) + at % columns])
                }
            }
            expectAgreement(
                available(martlet_block_product_portable, martlet_block_product_avx2, martlet_block_product_avx512), Self.tolerance, expected: expected, "block_product \(sizes)"
            ) { kernel in
                changed(old) { result in
                    left.withUnsafeBufferPointer { left in
                        right.withUnsafeBufferPointer { right in
                            var product = martlet_block_product(
                                rows: Int64(rows), vectors: Int64(vectors), depth: Int64(depth), left: left.baseAddress,
                                left_stride: Int64(leftStride), left_is_transposed: isTransposed ? 1 : 0,
                                right: right.baseAddress, right_stride: Int64(columns + 1), result: result,
                                result_stride: Int64(columns), accumulate: accumulate ? 1 : 0)
                            kernel(&product)
                        }
                    }
                }
            }
        }
    }

    /// Small whole numbers, whose sums float16 holds.
    @Test(arguments: [(1, 1, 1), (8, 2, 64), (7, 3, 65), (64, 2, 130), (17, 1, 15), (13, 4, 16)], [false, true])
    func blocksInFloat16(sizes: (Int, Int, Int), isTransposed: Bool) {
        let (rows, vectors, depth) = sizes
        let (columns, leftStride) = (32 * vectors, (isTransposed ? rows : depth) + 3)
        func wholes(_ count: Int, _ stream: UInt64) -> [Float] { noise(count, stream, scale: 3).map { $0.rounded() } }
        func half(_ value: Float) -> UInt16 { Float16(value).bitPattern }
        let (left, right) = (wholes(leftStride * max(rows, depth), 1), wholes(depth * (columns + 1), 2))
        let (words, halves) = (left.map { UInt32(half($0)) * 0x10001 }, right.map(half))
        let old = noise(rows * (columns + 2), 3)
        for (accumulate, kernel) in [false, true].flatMap({ accumulate in
            float16Copies(martlet_float16_block_portable, martlet_float16_block_avx512_fp16).map { (accumulate, $0) }
        }) {
            let found = changed(old) { result in
                words.withUnsafeBufferPointer { words in
                    halves.withUnsafeBufferPointer { halves in
                        var product = martlet_float16_block(
                            rows: Int64(rows), vectors: Int64(vectors), depth: Int64(depth), left: words.baseAddress,
                            left_stride: Int64(leftStride), left_is_transposed: isTransposed ? 1 : 0,
                            right: halves.baseAddress, right_stride: Int64(columns + 1), factor: 0.25, result: result,
                            result_stride: Int64(columns + 2), accumulate: accumulate ? 1 : 0)
                        kernel(&product)
                    }
                }
            }
            for at in old.indices {
                let (row, column) = (at / (columns + 2), at % (columns + 2))
                // What lies between rows stays.
                let sum = (0..<(column < columns ? depth : 0)).reduce(Float(0)) {
                    let l = left[isTransposed ? $1 * leftStride + row : row * leftStride + $1]
                    return $0 + l * right[$1 * (columns + 1) + column]
                }
                let expected = column < columns ? 0.25 * sum + (accumulate ? old[at] : 0) : old[at]
                #expect(abs(found[at] - expected) < 1e-5, "\(row), \(column) of \(sizes), added \(accumulate)")
            }
        }
    }

    @Test(arguments: [Float(1), 3e-30, 7e30]) func wordsOfFloat16(size: Float) {
        let (rows, columns, stride) = (5, 48, 50)
        let x = noise(rows * stride, 1, scale: size)
        let largest = (0..<rows).flatMap { x[$0 * stride..<$0 * stride + columns] }.map(abs).max() ?? 0
        for kernel in float16Copies(martlet_to_float16_words_portable, martlet_to_float16_words_avx512_fp16) {
            var inverse: Float = 0
            let words = changed(x) { kernel(Int64(rows), Int64(columns), $0, Int64(stride), &inverse) }.map(\.bitPattern)
            #expect(largest / inverse >= 1 && largest / inverse < 2 && inverse.significand == 1)
            for at in x.indices {
                if at % stride >= columns {
                    #expect(words[at] == x[at].bitPattern)
                } else {
                    #expect(words[at] == UInt32(Float16(x[at] / inverse).bitPattern) * 0x10001)
                }
            }
        }
    }

    /// Rows, columns and depth of products with panels: shorter and longer than the strips, pieces and sums in them.
    static let panels = [
        (1, 1, 1), (64, 64, 64), (65, 17, 63), (16, 300, 130), (300, 70, 65), (9, 31, 200), (2, 5, 16), (3, 8, 33),
    ]

    @Test(arguments: panels, [false, true]) func panel(sizes: (Int, Int, Int), accumulate: Bool) {
        let (rows, columns, depth) = sizes
        let (x, weight) = (noise(rows * (depth + 2), 1), noise(depth * (columns + 3), 2))
        let (old, stride) = (noise(rows * (columns + 1), 3), columns + 1)
        let expected = old.indices.map { at in
            let (row, column) = (at / stride, at % stride)
            // What lies between rows stays.
            if column == columns { return Double(old[at]) }
            return (0..<depth).reduce(accumulate ? Double(old[at]) : 0) {
                $0 + Double(x[row * (depth + 2) + $1]) * Double(weight[$1 * (columns + 3) + column])
            }
        }
        func product(_ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, _ result: UnsafeMutablePointer<Float>)
            -> martlet_panel_product
        {
            martlet_panel_product(
                rows: Int64(rows), columns: Int64(columns), depth: Int64(depth), x: x, x_stride: Int64(depth + 2),
                weight: weight, weight_stride: Int64(columns + 3), result: result, result_stride: Int64(stride),
                accumulate: accumulate ? 1 : 0)
        }
        expectAgreement(
            available(martlet_panel_product_portable, martlet_panel_product_avx2, martlet_panel_product_avx512),
            Self.tolerance, expected: expected, "panel_product \(sizes)"
        ) { kernel in
            changed(old) {
                var product = product(x, weight, $0)
                kernel(&product)
            }
        }
        let turned = (0..<columns * (depth + 5)).map { at in
            at % (depth + 5) < depth ? weight[at % (depth + 5) * (columns + 3) + at / (depth + 5)] : .nan
        }
        expectAgreement(
            available(
                martlet_panel_product_few_portable, martlet_panel_product_few_avx2, martlet_panel_product_few_avx512),
            Self.tolerance, expected: expected, "panel_product_few \(sizes)"
        ) { kernel in
            changed(old) {
                var product = product(x, turned, $0)
                product.weight_stride = Int64(depth + 5)
                kernel(&product)
            }
        }
        expectAgreement(
            available(
                martlet_panel_product_transposed_portable, martlet_panel_product_transposed_avx2,
                martlet_panel_product_transposed_avx512),
            Self.tolerance, expected: expected, "panel_product_transposed \(sizes)"
        ) { kernel in
            let width = (rows + 15) / 16 * 16
            var strip = [Float](repeating: .nan, count: depth * width)
            martlet_transpose(Int64(rows), Int64(depth), x, Int64(depth + 2), &strip, Int64(width))
            return changed(old) {
                var product = product(strip, turned, $0)
                (product.x_stride, product.weight_stride) = (Int64(width), Int64(depth + 5))
                kernel(&product)
            }
        }
    }

    @Test(arguments: [(1, 1), (16, 16), (17, 33), (64, 5), (3, 100)]) func transposes(sizes: (Int, Int)) {
        let (rows, columns) = sizes
        let (x, stride) = (noise(rows * (columns + 1), 1), (rows + 15) / 16 * 16 + 4)
        let expected = (0..<columns * stride).map { at in
            let (column, row) = (at / stride, at % stride)
            return row < rows ? Double(x[row * (columns + 1) + column]) : row < stride - 4 ? 0 : 7
        }
        expectAgreement(
            available(martlet_transpose_portable, martlet_transpose_avx2, martlet_transpose_avx512),
            .exact, expected: expected, "transpose \(sizes)"
        ) { kernel in
            changed([Float](repeating: 7, count: columns * stride)) {
                kernel(Int64(rows), Int64(columns), x, Int64(columns + 1), $0, Int64(stride))
            }
        }
    }
}
