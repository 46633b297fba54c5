import CKernels
import Testing

/// Products over strips of float16, and how those are packed.
@Suite struct Float16ProductTests {
    private static let (width, steps, head) = (
        Int(MARTLET_FLOAT16_STRIP), Int(MARTLET_FLOAT16_STEPS), Int(MARTLET_FLOAT16_HEAD)
    )
    /// Columns under one scale.
    private static let scaled = Int(MARTLET_FLOAT16_COLUMNS)


    private func strips(_ matrix: [Float], columns: Int, depth: Int) -> [UInt16] {
        let step = Int(martlet_float16_strip_size(Int64(depth)))
        // Signalling rubbish, where nothing is written.
        var strips = [UInt16](repeating: 0x7D00, count: (columns + Self.width - 1) / Self.width * step)
        martlet_pack_float16(Int64(columns), Int64(depth), matrix, Int64(columns), &strips, Int64(step))
        return strips
    }

    private func run(
        _ kernel: (UnsafePointer<martlet_strip_product>?) -> Void, _ left: UnsafeRawPointer, _ form: martlet_left_form,
        _ strips: [UInt16], rows: Int, columns: Int, depth: Int, leftStride: Int, stride: Int,
        result: UnsafeMutablePointer<Float>, accumulate: Bool
    ) {
        strips.withUnsafeBytes { strips in
            var product = martlet_strip_product(
                rows: Int64(rows), columns: Int64(columns), depth: Int64(depth), left: left, left_form: form,
                left_stride: Int64(leftStride), right: strips.baseAddress, result: result, result_stride: Int64(stride),
                accumulate: accumulate ? 1 : 0)
            kernel(&product)
        }
    }

    /// Rows, columns and depth: fewer and more than the kernel takes at a time, blocks and pieces of the depth.
    static let sizes = [
        (1, 1, 1), (8, 96, 96), (9, 97, 97), (7, 32, 577), (29, 70, 800), (13, 131, 5), (250, 64, 3), (6, 200, 1152),
    ]
    static let forms = [MARTLET_LEFT_FLOAT32, MARTLET_LEFT_BFLOAT16].map(\.rawValue)

    /// Rows and columns have sizes far apart: every row and block finds its scale.
    @Test(arguments: sizes, forms) func products(sizes: (Int, Int, Int), form: UInt32) {
        let (rows, columns, depth) = sizes
        let (leftStride, stride) = (depth + 3, columns + 2)
        let rowScale = (0..<rows).map { [1, 1e-20, 1e9, 3e-7][$0 % 4] as Float }
        // Between rows lies what would spoil every sum.
        let left = noise(rows * leftStride, 1).enumerated().map {
            $0 % leftStride < depth ? $1 * rowScale[$0 / leftStride] : .nan
        }
        let right = noise(depth * columns, 2, scale: 1e-5)
        let halves = left.map { UInt16(truncatingIfNeeded: $0.bitPattern >> 16) }
        let operand =
            form == MARTLET_LEFT_FLOAT32.rawValue ? left : halves.map { Float(bitPattern: UInt32($0) << 16) }
        let strips = strips(right, columns: columns, depth: depth)
        for accumulate in [false, true] {
            let old = noise(rows * stride, 3).enumerated().map { $1 * rowScale[$0 / stride] * 1e-5 }
            func found(_ kernel: (UnsafePointer<martlet_strip_product>?) -> Void) -> [Float] {
                changed(old) { result in
                    func multiply(_ left: UnsafeRawBufferPointer) {
                        run(
                            kernel, left.baseAddress!, martlet_left_form(rawValue: form), strips, rows: rows,
                            columns: columns, depth: depth, leftStride: leftStride, stride: stride, result: result,
                            accumulate: accumulate)
                    }
                    form == MARTLET_LEFT_FLOAT32.rawValue
                        ? left.withUnsafeBytes(multiply) : halves.withUnsafeBytes(multiply)
                }
            }
            let results = float16Copies(martlet_float16_product_portable, martlet_float16_product_avx512_fp16).map(found)
            for (level, values) in results.enumerated() {
                var worst = 0.0
                for (at, value) in values.enumerated() {
                    let (row, column) = (at / stride, at % stride)
                    if column >= columns {
                        // What lies between rows stays.
                        #expect(value == old[at])
                        continue
                    }
                    let exact = (0..<depth).reduce(accumulate ? Double(old[at]) : 0) {
                        $0 + Double(operand[row * leftStride + $1]) * Double(right[$1 * columns + column])
                    }
                    let size = Double(rowScale[row]) * 1e-5 * Double(depth).squareRoot()
                    worst = max(worst, abs(Double(value) - exact) / size)
                }
                #expect(worst < 4e-3, "\(sizes), form \(form), level \(level)")
            }
        }
    }

    /// Sums of whole numbers that float16 holds are exact, with every copy.
    @Test func wholeNumbersAreExact() {
        let (rows, columns, depth) = (19, 100, 700)
        let left = noise(rows * depth, 1, scale: 3).map { $0.rounded() }
        let right = noise(columns * depth, 2, scale: 3).map { $0.rounded() }
        let strips = strips(right, columns: columns, depth: depth)
        let expected = (0..<rows * columns).map { at in
            (0..<depth).reduce(Float(0)) { $0 + left[at / columns * depth + $1] * right[$1 * columns + at % columns] }
        }
        for kernel in float16Copies(martlet_float16_product_portable, martlet_float16_product_avx512_fp16) {
            let found = written(rows * columns) { result in
                left.withUnsafeBytes {
                    run(
                        kernel, $0.baseAddress!, MARTLET_LEFT_FLOAT32, strips, rows: rows, columns: columns, depth: depth,
                        leftStride: depth, stride: columns, result: result, accumulate: false)
                }
            }
            #expect(found == expected)
        }
    }

    /// The largest elements that there can be do not overflow; infinities and NaNs stay in sight.
    @Test func extremes() {
        let depth = 640
        func product(_ left: Float, _ right: Float) -> Float {
            let strips = strips([Float](repeating: right, count: depth), columns: 1, depth: depth)
            var result: Float = 0
            [Float](repeating: left, count: depth).withUnsafeBytes {
                run(
                    { martlet_float16_product($0) }, $0.baseAddress!, MARTLET_LEFT_FLOAT32, strips, rows: 1, columns: 1,
                    depth: depth, leftStride: depth, stride: 1, result: &result, accumulate: false)
            }
            return result
        }
        for (left, right) in [(1.999, 1.999), (255.9, 1.999), (-3e30, 1.9e4), (1e-30, 1e-6), (1, 0)] as [(Float, Float)] {
            let (found, expected) = (product(left, right), Float(depth) * left * right)
            #expect(abs(found - expected) <= 0.01 * abs(expected), "\(left) · \(right) = \(found)")
        }
        #expect(product(.infinity, 1) == .infinity)
        #expect(product(1, -.infinity) == -.infinity)
        #expect(product(.nan, 1).isNaN && product(1, .nan).isNaN)
    }

    /// Whatever rows and columns are cut into, the bits are the same.
    @Test func cutsChangeNoBit() {
        let (rows, columns, depth) = (61, 192, 900)
        let left = noise(rows * depth, 1), strips = strips(noise(columns * depth, 2), columns: columns, depth: depth)
        let step = Int(martlet_float16_strip_size(Int64(depth)))
        func cut(height: Int, width: Int) -> [Float] {
            written(rows * columns) { result in
                for row in stride(from: 0, to: rows, by: height) {
                    for column in stride(from: 0, to: columns, by: width) {
                        left.withUnsafeBytes {
                            run(
                                { martlet_float16_product($0) }, $0.baseAddress! + 4 * row * depth, MARTLET_LEFT_FLOAT32,
                                Array(strips[(column / Self.width * step)...]), rows: min(height, rows - row),
                                columns: width, depth: depth, leftStride: depth, stride: columns,
                                result: result + row * columns + column, accumulate: false)
                        }
                    }
                }
            }
        }
        let whole = cut(height: rows, width: columns)
        for height in [1, 5, 8, 20] { #expect(cut(height: height, width: Self.width) == whole, "\(height) rows") }
    }

    @Test(arguments: [(1, 1), (96, 96), (97, 97), (200, 5), (95, 200), (16, 300)]) func packs(sizes: (Int, Int)) {
        let (columns, depth) = sizes
        let (source, step) = (noise((columns + 3) * (depth + 3), 1, scale: 1e-4), Int(martlet_float16_strip_size(Int64(depth))))
        func check(_ found: [UInt16], _ element: (_ depth: Int, _ column: Int) -> Float, _ what: String) {
            for strip in 0..<(columns + Self.width - 1) / Self.width {
                for block in stride(from: 0, to: depth, by: Self.steps) {
                    let start = strip * (step + 7) + Int(martlet_float16_strip_size(Int64(block)))
                    for group in 0..<Self.width / Self.scaled {
                        let place = start + 2 * group, first = strip * Self.width + group * Self.scaled
                        let factor = Float(bitPattern: UInt32(found[place]) | UInt32(found[place + 1]) << 16)
                        var (largest, worst) = (Float(0), Float(0))
                        for (at, d) in (block..<min(depth, block + Self.steps)).enumerated() {
                            for column in 0..<Self.scaled {
                                let at = start + Self.head + at * Self.width + group * Self.scaled + column
                                let value = Float(Float16(bitPattern: found[at]))
                                let expected = first + column < columns ? element(d, first + column) : 0
                                largest = max(largest, abs(value))
                                worst = max(worst, abs(value * factor - expected) / factor)
                            }
                        }
                        let isEmpty = first >= columns
                        #expect(isEmpty ? largest == 0 : largest >= 1 && largest <= 2, "\(what) \(sizes)")
                        #expect(worst <= (isEmpty ? 0 : 1.0 / 2048), "\(what) \(sizes)")
                    }
                }
            }
        }
        let count = (columns + Self.width - 1) / Self.width * (step + 7)
        func packed(
            _ pack: (Int64, Int64, UnsafePointer<Float>?, Int64, UnsafeMutablePointer<UInt16>?, Int64) -> Void, _ stride: Int
        ) -> [UInt16] {
            var strips = [UInt16](repeating: 0x7D00, count: count + 1)
            pack(Int64(columns), Int64(depth), source, Int64(stride), &strips, Int64(step + 7))
            #expect(strips[count] == 0x7D00, "written past the end")
            return strips
        }
        for pack in float16Copies(martlet_pack_float16_portable, martlet_pack_float16_avx512_fp16) {
            check(packed(pack, columns + 3), { source[$0 * (columns + 3) + $1] }, "pack_float16")
        }
        for pack in float16Copies(martlet_pack_float16_transposed_portable, martlet_pack_float16_transposed_avx512_fp16) {
            check(packed(pack, depth + 3), { source[$1 * (depth + 3) + $0] }, "pack_float16_transposed")
        }
    }
}
