import TensorCore
import Testing

/// Thin products over rows in groups, on tiles and without, against double arithmetic on rounded numbers.
@Suite struct ThinOperandTests {
    /// One group is empty; the last one's blocks of sixteen end further behind the rows than those of all rows do.
    private static let offsets = [0, 1, 1, 18, 34, 75]

    private func rounded(_ values: [Float]) -> [Float] {
        values.map { Float(bitPattern: ($0.bitPattern + 0x7FFF + ($0.bitPattern >> 16 & 1)) & 0xFFFF_0000) }
    }

    /// Widths whose rows are read where they lie in bfloat16, that are packed, and that begin within a tile.
    @Test(arguments: [(96, 32..<96), (70, 0..<70), (1024, 64..<1024), (40, 8..<40)], [1, 16, 20])
    func productsOfGroups(part: (width: Int, columns: Range<Int>), rank: Int) throws {
        let (offsets, width, columns) = (Self.offsets, part.width, part.columns)
        let rows = offsets[offsets.count - 1]
        let (x, g) = (rounded(noise(rows * width, 1)), rounded(noise(rows * rank, 2)))
        let factor = rounded(noise(rank * columns.count, 3))
        let onTiles = TileUnit.usable.flatMap { [($0, ElementType.float32), ($0, .bfloat16)] }
        for (tiles, type) in [(nil, .float32)] + onTiles {
            let compute = try Compute(precision: .bfloat16, threadCount: 2, tiles: tiles)
            leaveRubbish(in: compute)
            let xt = compute.converted(compute.tensor(x, shape: [rows, width]), to: type)
            let (gt, ft) = (
                compute.tensor(g, shape: [rows, rank]), compute.tensor(factor, shape: [rank, columns.count])
            )
            let operand = ThinOperand(xt, offsets: offsets, columns: [columns.lowerBound], on: compute)
            for group in 0..<offsets.count - 1 where offsets[group] < offsets[group + 1] {
                let mine = offsets[group]..<offsets[group + 1]
                // The last rows from a multiple of sixteen on.
                let some = mine.lowerBound + (mine.count - 1) / 16 * 16..<mine.upperBound
                let h = written(some.count * rank) {
                    operand.project(
                        group: group, rows: some, columns: columns, rank: rank, scale: 0.5,
                        MatrixPointer(ft.floats, stride: columns.count), into: $0)
                }
                let sum = changed([Float](repeating: 1, count: rank * columns.count)) {
                    operand.gradient(
                        group: group, columns: columns, rank: rank, gt.floats + mine.lowerBound * rank,
                        into: StridedTarget($0, rowStride: columns.count, columnStride: 1, adding: true))
                }
                let transposed = changed([Float](repeating: .nan, count: rank * columns.count)) {
                    operand.gradient(
                        group: group, columns: columns, rank: rank, gt.floats + mine.lowerBound * rank,
                        into: StridedTarget($0, rowStride: 1, columnStride: rank, adding: false))
                }
                for (index, found) in h.enumerated() {
                    let (row, k) = (some.lowerBound + index / rank, index % rank)
                    let expected = columns.enumerated().reduce(0.0) {
                        $0 + 0.5 * Double(x[row * width + $1.element]) * Double(factor[k * columns.count + $1.offset])
                    }
                    #expect(abs(Double(found) - expected) < 2e-4, "h[\(row), \(k)] of \(width), tiles \(tiles != nil)")
                }
                for (index, found) in sum.enumerated() {
                    let (k, column) = (index / columns.count, columns.lowerBound + index % columns.count)
                    let expected = mine.reduce(1.0) { $0 + Double(g[$1 * rank + k]) * Double(x[$1 * width + column]) }
                    #expect(abs(Double(found) - expected) < 2e-4, "sum[\(k), \(column)] of \(width), tiles \(tiles != nil)")
                    let turned = Double(transposed[index % columns.count * rank + k]) + 1
                    #expect(abs(turned - expected) < 2e-4, "sum[\(k), \(column)] of \(width), rank \(rank), group \(group), \(mine.count) rows as a transpose, tiles \(tiles != nil)")
                }
            }
        }
    }
}
