import CKernels
import TensorCore
import Testing

/// Tile registers, the layouts that they read, and the blocked product over them.
@Suite struct TileKernelTests {
    private typealias Pack<Element> = (
        Int64, Int64, UnsafePointer<Element>?, Int64, Int32, UnsafeMutablePointer<UInt16>?, Int64
    ) -> Void

    static let sides = [1, 5, 16, 17, 32, 33, 48, 63, 70]
    static let depths = [1, 2, 31, 32, 33, 64, 65, 95, 600]

    private func rounded(_ value: Float) -> UInt16 {
        UInt16((value.bitPattern + 0x7FFF + (value.bitPattern >> 16 & 1)) >> 16)
    }

    private func widened(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

    // MARK: Packing

    /// Where an element of a packed operand lies.
    private func place(_ side: Int, _ depth: Int, isRight: Bool, step: Int) -> Int {
        let (row, column) = isRight ? (depth % 32 / 2, side % 16 * 2 + depth % 2) : (side % 16, depth % 32)
        return side / 16 * step + depth / 32 * 512 + row * 32 + column
    }

    private func expectPacked<Element>(
        _ kernels: [Pack<Element>], _ source: [Element], _ bits: (Element) -> UInt16, rowsAlongDepth: Bool, sides: Int,
        depth: Int
    ) {
        let stride = (rowsAlongDepth ? depth : sides) + 3
        let step = (depth + 31) / 32 * 512 + 64
        for transpose in [false, true] {
            let isRight = rowsAlongDepth == transpose
            var expected = [UInt16](repeating: 0xABCD, count: (sides + 15) / 16 * step)
            for block in 0..<(sides + 15) / 16 {
                for index in 0..<(depth + 31) / 32 * 512 { expected[block * step + index] = 0 }
            }
            for side in 0..<sides {
                for d in 0..<depth {
                    let at = rowsAlongDepth ? side * stride + d : d * stride + side
                    expected[place(side, d, isRight: isRight, step: step)] = bits(source[at])
                }
            }
            for (level, kernel) in kernels.enumerated() {
                var tiles = [UInt16](repeating: 0xABCD, count: expected.count)
                kernel(Int64(sides), Int64(depth), source, Int64(stride), transpose ? 1 : 0, &tiles, Int64(step))
                #expect(tiles == expected, "level \(level), \(sides) × \(depth), transpose \(transpose)")
            }
        }
    }

    @Test(arguments: sides, depths) func packing(sides: Int, depth: Int) {
        // Just as many elements as the kernels may read.
        func source(_ count: Int) -> [Float] { noise(count, 5, scale: 3) }
        let (rows, columns) = (source(sides * (depth + 3) - 3), source(depth * (sides + 3) - 3))
        expectPacked(
            available(
                martlet_pack_rows_f32_portable, martlet_pack_rows_f32_avx2, martlet_pack_rows_f32_avx512,
                martlet_pack_rows_f32_avx512_bf16), rows,
            rounded, rowsAlongDepth: true, sides: sides, depth: depth)
        expectPacked(
            available(
                martlet_pack_columns_f32_portable, martlet_pack_columns_f32_avx2, martlet_pack_columns_f32_avx512,
                martlet_pack_columns_f32_avx512_bf16),
            columns, rounded, rowsAlongDepth: false, sides: sides, depth: depth)
        expectPacked(
            available(martlet_pack_rows_bf16_portable, martlet_pack_rows_bf16_avx2, martlet_pack_rows_bf16_avx512),
            rows.map(rounded), { $0 }, rowsAlongDepth: true, sides: sides, depth: depth)
        expectPacked(
            available(
                martlet_pack_columns_bf16_portable, martlet_pack_columns_bf16_avx2, martlet_pack_columns_bf16_avx512),
            columns.map(rounded), { $0 }, rowsAlongDepth: false, sides: sides, depth: depth)
    }

    @Test(arguments: sides, [1, 15, 16, 17, 40]) func spreading(sides: Int, depth: Int) {
        let stride = sides + 3, step = (depth + 15) / 16 * 512 + 64
        let source = noise(depth * stride - 3, 5, scale: 3)
        var expected = [UInt16](repeating: 0xABCD, count: (sides + 15) / 16 * 2 * step)
        for block in 0..<(sides + 15) / 16 * 2 {
            for index in 0..<step - 64 { expected[block * step + index] = 0 }
        }
        for side in 0..<sides {
            for d in 0..<depth {
                let at = side / 16 * 2 * step + d / 16 * 512 + side % 16 * 32 + d % 16 * 2
                expected[at] = rounded(source[d * stride + side])
                expected[at + step + 1] = expected[at]
            }
        }
        for (level, kernel) in available(
            martlet_pack_spread_portable, martlet_pack_spread_avx2, martlet_pack_spread_avx512
        ).enumerated() {
            var tiles = [UInt16](repeating: 0xABCD, count: expected.count)
            kernel(Int64(sides), Int64(depth), source, Int64(stride), &tiles, Int64(step))
            #expect(tiles == expected, "level \(level), \(depth) × \(sides)")
        }
    }

    // MARK: The emulated instruction

    private func flushed(_ value: Float) -> Float {
        value.isNaN || value.magnitude >= .leastNormalMagnitude ? value : (value.sign == .minus ? -0.0 : 0.0)
    }

    /// One element, as the manual says: two chains of fused multiply-adds, their sum, and the sum with the element.
    private func element(_ old: Float, _ left: [UInt16], _ right: [UInt16]) -> Float {
        var sums: [Float] = [0, 0]
        for index in left.indices {
            let (a, b) = (flushed(widened(left[index])), flushed(widened(right[index])))
            sums[index % 2] = flushed(sums[index % 2].addingProduct(a, b))
        }
        return flushed(flushed(old) + flushed(sums[0] + sums[1]))
    }

    @Test(arguments: [(16, 16, 16), (1, 1, 1), (3, 16, 5), (16, 7, 16), (9, 4, 11)], [1, 1e-19, 3e-39])
    func dotProductsFollowTheManual(size: (rows: Int, columns: Int, pairs: Int), scale: Double) {
        let (rows, columns, pairs) = size
        var configuration = tile_configuration()
        configuration.palette = 1
        withUnsafeMutableBytes(of: &configuration.rows) {
            $0[0] = UInt8(rows); $0[1] = UInt8(rows); $0[2] = UInt8(pairs)
        }
        withUnsafeMutableBytes(of: &configuration.row_bytes) {
            let bytes = $0.bindMemory(to: UInt16.self)
            (bytes[0], bytes[1], bytes[2]) = (UInt16(4 * columns), UInt16(4 * pairs), UInt16(4 * columns))
        }
        // Numbers of very different size, so that order and rounding show; with 1e-19 and 3e-39 denormals too.
        func values(_ count: Int, _ stream: UInt64) -> [Float] {
            noise(count, stream, scale: Float(scale)).enumerated().map {
                $0.offset % 3 == 0 ? $0.element * 300 : $0.element
            }
        }
        let left = values(rows * 2 * pairs, 1).map(rounded), right = values(pairs * 2 * columns, 2).map(rounded)
        let old = values(rows * columns, 3)
        for (level, multiply) in available(
            martlet_emulated_dpbf16ps_portable, martlet_emulated_dpbf16ps_avx2, martlet_emulated_dpbf16ps_avx512
        ).enumerated() {
            var file = tile_file()
            martlet_emulated_loadconfig(&file, &configuration)
            martlet_emulated_loadd(&file, 1, left, Int64(4 * pairs))
            martlet_emulated_loadd(&file, 2, right, Int64(4 * columns))
            martlet_emulated_loadd(&file, 0, old, Int64(4 * columns))
            multiply(&file, 0, 1, 2)
            let found = written(rows * columns) { martlet_emulated_stored(&file, 0, $0, Int64(4 * columns)) }
            let expected = (0..<rows * columns).map { index in
                let (row, column) = (index / columns, index % columns)
                return element(
                    old[index], Array(left[row * 2 * pairs..<(row + 1) * 2 * pairs]),
                    (0..<2 * pairs).map { right[$0 / 2 * 2 * columns + 2 * column + $0 % 2] })
            }
            #expect(found.map(\.bitPattern) == expected.map(\.bitPattern), "level \(level)")
        }
    }

    // MARK: Products

    /// Packed operands of a product, and the numbers that they hold.
    private struct Operands {
        let left, right: [Float]
        let leftTiles, rightTiles: [UInt16]
        let depth: Int
        var blocks: Int { (depth + 31) / 32 }
        var step: Int { blocks * 512 }
    }

    private func operands(_ rows: Int, _ columns: Int, _ depth: Int, _ stream: UInt64) -> Operands {
        let left = noise(rows * depth, stream).map { widened(rounded($0)) }
        let right = noise(columns * depth, stream + 1).map { widened(rounded($0)) }
        let step = (depth + 31) / 32 * 512
        var tiles = (
            [UInt16](repeating: 0, count: (rows + 15) / 16 * step),
            [UInt16](repeating: 0, count: (columns + 15) / 16 * step)
        )
        martlet_pack_rows_f32(Int64(rows), Int64(depth), left, Int64(depth), 0, &tiles.0, Int64(step))
        martlet_pack_rows_f32(Int64(columns), Int64(depth), right, Int64(depth), 1, &tiles.1, Int64(step))
        return Operands(left: left, right: right, leftTiles: tiles.0, rightTiles: tiles.1, depth: depth)
    }

    private typealias Product = @convention(c) (UnsafePointer<martlet_tile_product>?) -> Void

    private func run(
        _ kernel: Product, _ first: Operands, _ second: Operands? = nil, rows: Int, columns: Int, initial: [Float]?,
        partial: UnsafeMutablePointer<Float>? = nil
    ) -> [Float] {
        let stride = columns + 5
        func fill(_ target: UnsafeMutablePointer<Float>) {
            for index in 0..<rows * stride {
                target[index] =
                    index % stride < columns ? (initial?[index / stride * columns + index % stride] ?? .nan) : -7
            }
        }
        let second = second ?? first
        let all = changed([Float](repeating: 0, count: rows * stride)) { result in
            fill(result)
            first.leftTiles.withUnsafeBufferPointer { a in
                first.rightTiles.withUnsafeBufferPointer { b in
                    second.leftTiles.withUnsafeBufferPointer { c in
                        second.rightTiles.withUnsafeBufferPointer { d in
                            var product = martlet_tile_product()
                            product.operands.0 = martlet_tile_operands(
                                left: martlet_packed_tiles(a.baseAddress, Int64(first.step)),
                                right: martlet_packed_tiles(b.baseAddress, Int64(first.step)),
                                depth: Int64(first.blocks))
                            product.operands.1 = martlet_tile_operands(
                                left: martlet_packed_tiles(c.baseAddress, Int64(second.step)),
                                right: martlet_packed_tiles(d.baseAddress, Int64(second.step)),
                                depth: second.depth == first.depth ? 0 : Int64(second.blocks))
                            (product.rows, product.columns, product.result) = (Int64(rows), Int64(columns), result)
                            (product.stride, product.accumulate) = (Int64(stride), initial == nil ? 0 : 1)
                            product.partial = partial
                            kernel(&product)
                        }
                    }
                }
            }
        }
        for row in 0..<rows {
            #expect(
                all[(row * stride + columns)..<(row + 1) * stride].allSatisfy { $0 == -7 }, "written beside row \(row)")
        }
        return (0..<rows * columns).map { all[$0 / columns * stride + $0 % columns] }
    }

    private let kernels = TileUnit.usable.map(\.product)

    @Test(arguments: [1, 15, 16, 17, 31, 32, 33, 50, 70], [1, 31, 33, 70, 700])
    func productOverAllTails(rows: Int, depth: Int) {
        for columns in [1, 16, 17, 33, 48, 70] { product(rows, columns, depth) }
    }

    private func product(_ rows: Int, _ columns: Int, _ depth: Int) {
        let (first, second) = (operands(rows, columns, depth, 1), operands(rows, columns, 19, 3))
        let old = noise(rows * columns, 7)
        var exact = [Double](repeating: 0, count: rows * columns)
        for (operand, isMore) in [(first, false), (second, true)] {
            for row in 0..<rows {
                for column in 0..<columns {
                    for d in 0..<operand.depth where !isMore || depth != 19 {
                        exact[row * columns + column] +=
                            Double(operand.left[row * operand.depth + d])
                            * Double(operand.right[column * operand.depth + d])
                    }
                }
            }
        }
        let slack = 1e-6 * Double(depth + 20).squareRoot()
        for kernel in kernels {
            let fresh = run(kernel, first, second, rows: rows, columns: columns, initial: nil)
            let added = run(kernel, first, second, rows: rows, columns: columns, initial: old)
            for index in exact.indices {
                let wrong = [
                    Double(fresh[index]) - exact[index], Double(added[index]) - exact[index] - Double(old[index]),
                ]
                if wrong.contains(where: { !(abs($0) < slack) }) {
                    Issue.record("\(rows) × \(columns) × \(depth): element \(index) is off by \(wrong)")
                }
            }
        }
    }

    /// What is computed beside an element, and how the depth is cut, changes no bit of it.
    @Test func anElementDependsOnItsRowAndColumnOnly() {
        let (rows, columns, depth) = (41, 39, 700)
        let all = operands(rows, columns, depth, 1)
        for kernel in kernels {
            let whole = run(kernel, all, rows: rows, columns: columns, initial: nil)
            for (height, width) in [(1, 1), (17, 39), (33, 16), (41, 20)] {
                let part = run(kernel, all, rows: height, columns: width, initial: nil)
                #expect(
                    part == (0..<height * width).map { whole[$0 / width * columns + $0 % width] },
                    "\(height) × \(width)")
            }
        }
    }

    /// Sums of a deep product that lie apart between its pieces, and are found there.
    @Test(arguments: [200, 700, 1000]) func partialSumsThatLieApart(depth: Int) {
        let (rows, columns) = (50, 70)
        let (first, second) = (operands(rows, columns, depth, 1), operands(rows, columns, 19, 3))
        for initial in [nil, noise(rows * columns, 7)] {
            for kernel in kernels {
                let expected = run(kernel, first, second, rows: rows, columns: columns, initial: initial)
                var found = [Float]()
                let partial = changed([Float](repeating: -7, count: rows * columns + 1)) {
                    found = run(kernel, first, second, rows: rows, columns: columns, initial: initial, partial: $0)
                }
                #expect(found == expected)
                #expect(partial[rows * columns] == -7)
                #expect(partial.dropLast().contains { $0 != -7 } == (depth > 288))
            }
        }
    }

    /// Rows of bfloat16 numbers as they lie give the bits of packed ones; the last block is full of rows that nobody asked
    /// for.
    @Test(arguments: [1, 17, 40, 70]) func rowsThatAreNotPacked(rows: Int) {
        let (columns, depth, stride) = (37, 96, 128)
        let all = operands(rows, columns, depth, 1)
        let matrix = (0..<(rows + 15) / 16 * 16 * stride).map { index -> UInt16 in
            let (row, column) = (index / stride, index % stride)
            return row < rows && column < depth ? rounded(all.left[row * depth + column]) : 0x7FC0
        }
        for kernel in kernels {
            let expected = run(kernel, all, rows: rows, columns: columns, initial: nil)
            let found = changed([Float](repeating: .nan, count: rows * columns)) { result in
                matrix.withUnsafeBufferPointer { matrix in
                    all.rightTiles.withUnsafeBufferPointer { right in
                        var product = martlet_tile_product()
                        product.operands.0 = martlet_tile_operands(
                            left: martlet_tile_operand(
                                tiles: matrix.baseAddress, block_step: Int64(16 * stride), depth_step: 32,
                                row_step: Int64(stride)),
                            right: martlet_packed_tiles(right.baseAddress, Int64(all.step)), depth: Int64(all.blocks))
                        (product.rows, product.columns) = (Int64(rows), Int64(columns))
                        (product.result, product.stride) = (result, Int64(columns))
                        kernel(&product)
                    }
                }
            }
            #expect(found == expected)
        }
    }

    // MARK: Support

    @Test func theTrialTellsRightFromWrongAndFromIllegal() {
        #expect(martlet_tiles_trial(martlet_tile_product_emulated) == Int32(MARTLET_TILES_READY))
        #expect(
            martlet_tiles_trial { product in
                martlet_tile_product_emulated(product)
                if let product { product.pointee.result[40] += 1 }
            } == Int32(MARTLET_TILES_WRONG))
        let state = martlet_tiles_state()
        #expect(state == martlet_tiles_state())
        // A CPU without tiles raises the signal that the trial catches; afterwards the process goes on.
        if state == Int32(MARTLET_TILES_NO_CPU) && Int(martlet_best_isa()) >= MARTLET_ISA_AVX512 {
            #expect(martlet_tiles_trial(martlet_tile_product_amx) == Int32(MARTLET_TILES_TRAPPED))
        }
    }
}
