import CKernels
import Testing

/// Products over strips, and how strips are packed.
@Suite struct StripProductTests {
    private static let tolerance = KernelTolerance(relative: 2e-5, absolute: 2e-5)
    /// Columns of a strip.
    private static let strip = Int(MARTLET_STRIP)

    /// Rows, columns and depth: fewer and more than the kernel takes at a time, and pieces of the depth.
    static let sizes = [
        (1, 1, 1), (8, 48, 576), (9, 49, 577), (7, 96, 17), (29, 70, 800), (13, 47, 5), (252, 64, 3), (6, 150, 1200),
    ]
    static let forms = [MARTLET_LEFT_FLOAT32, MARTLET_LEFT_ROUNDED, MARTLET_LEFT_BFLOAT16].map(\.rawValue)

    private func bfloat16(_ value: Float) -> UInt16 {
        UInt16(truncatingIfNeeded: (value.bitPattern + 0x7FFF + (value.bitPattern >> 16 & 1)) >> 16)
    }

    @Test(arguments: sizes, forms) func products(sizes: (Int, Int, Int), form: UInt32) {
        let (rows, columns, depth) = sizes
        let (leftStride, stride) = (depth + 3, columns + 2)
        let (left, right) = (noise(rows * leftStride, 1), noise(depth * columns, 2))
        let halves = left.map(bfloat16)
        let operand = form == MARTLET_LEFT_FLOAT32.rawValue ? left : halves.map { Float(bitPattern: UInt32($0) << 16) }
        var strips = [Float](repeating: .nan, count: (columns + Self.strip - 1) / Self.strip * Self.strip * depth)
        martlet_pack_strips(Int64(columns), Int64(depth), right, Int64(columns), &strips, Int64(Self.strip * depth))
        let old = noise(rows * stride, 3)
        for accumulate in [false, true] {
            let expected = old.indices.map { at in
                let (row, column) = (at / stride, at % stride)
                // What lies between rows stays.
                if column >= columns { return Double(old[at]) }
                return (0..<depth).reduce(accumulate ? Double(old[at]) : 0) {
                    $0 + Double(operand[row * leftStride + $1]) * Double(right[$1 * columns + column])
                }
            }
            func run(_ kernel: (UnsafePointer<martlet_strip_product>?) -> Void, _ left: UnsafeRawPointer) -> [Float] {
                strips.withUnsafeBufferPointer { strips in
                    changed(old) {
                        var product = martlet_strip_product(
                            rows: Int64(rows), columns: Int64(columns), depth: Int64(depth), left: left,
                            left_form: martlet_left_form(rawValue: form), left_stride: Int64(leftStride),
                            right: strips.baseAddress, result: $0, result_stride: Int64(stride),
                            accumulate: accumulate ? 1 : 0)
                        kernel(&product)
                    }
                }
            }
            expectAgreement(
                available(martlet_strip_product_portable, martlet_strip_product_avx2, martlet_strip_product_avx512),
                Self.tolerance, expected: expected, "strip_product \(sizes), form \(form)"
            ) { kernel in
                form == MARTLET_LEFT_BFLOAT16.rawValue
                    ? halves.withUnsafeBytes { run(kernel, $0.baseAddress!) }
                    : left.withUnsafeBytes { run(kernel, $0.baseAddress!) }
            }
        }
    }

    /// Whatever rows and columns are cut into, the bits are the same.
    @Test func cutsChangeNoBit() {
        let (rows, columns, depth) = (61, 96, 900)
        let left = noise(rows * depth, 1)
        var strips = [Float](repeating: .nan, count: columns * depth)
        martlet_pack_strips(Int64(columns), Int64(depth), noise(columns * depth, 2), Int64(columns), &strips, Int64(Self.strip * depth))
        func run(height: Int, width: Int) -> [Float] {
            written(rows * columns) { result in
                for row in stride(from: 0, to: rows, by: height) {
                    for column in stride(from: 0, to: columns, by: width) {
                        left.withUnsafeBufferPointer { left in
                            strips.withUnsafeBufferPointer { strips in
                                var product = martlet_strip_product()
                                (product.rows, product.columns) = (Int64(min(height, rows - row)), Int64(width))
                                (product.depth, product.left_stride) = (Int64(depth), Int64(depth))
                                product.left = UnsafeRawPointer(left.baseAddress! + row * depth)
                                product.right = UnsafeRawPointer(strips.baseAddress! + column * depth)
                                product.result = result + row * columns + column
                                product.result_stride = Int64(columns)
                                martlet_strip_product(&product)
                            }
                        }
                    }
                }
            }
        }
        let whole = run(height: rows, width: columns)
        for height in [1, 5, 8, 20] { #expect(run(height: height, width: Self.strip) == whole, "\(height) rows") }
    }

    @Test(arguments: [(1, 1), (48, 16), (49, 17), (100, 5), (47, 40), (16, 64)]) func packs(sizes: (Int, Int)) {
        let (columns, depth) = sizes, width = Self.strip
        let (source, step) = (noise((columns + 3) * (depth + 3), 1), width * depth + 7)
        let count = (columns + width - 1) / width * step
        func expected(_ element: (_ depth: Int, _ column: Int) -> Float) -> [Double] {
            (0..<count).map { at in
                let (strip, place) = (at / step, at % step)
                let (d, column) = (place / width, width * strip + place % width)
                // What lies between strips stays.
                return d >= depth ? 7 : column < columns ? Double(element(d, column)) : 0
            }
        }
        expectAgreement(
            available(martlet_pack_strips_portable, martlet_pack_strips_avx2, martlet_pack_strips_avx512), .exact,
            expected: expected { source[$0 * (columns + 3) + $1] }, "pack_strips \(sizes)"
        ) { kernel in
            changed([Float](repeating: 7, count: count)) {
                kernel(Int64(columns), Int64(depth), source, Int64(columns + 3), $0, Int64(step))
            }
        }
        expectAgreement(
            available(
                martlet_pack_strips_transposed_portable, martlet_pack_strips_transposed_avx2,
                martlet_pack_strips_transposed_avx512),
            .exact, expected: expected { source[$1 * (depth + 3) + $0] }, "pack_strips_transposed \(sizes)"
        ) { kernel in
            changed([Float](repeating: 7, count: count)) {
                kernel(Int64(columns), Int64(depth), source, Int64(depth + 3), $0, Int64(step))
            }
        }
    }
}
