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
