import CKernels

/// Right operands in strips of columns, `[depth, 48]` elements each.
enum StripPack {
    /// Columns of a strip.
    static let width = Int(MARTLET_STRIP)

    /// Elements between strips that follow one another.
    static func step(depth: Int) -> Int { width * depth }
    /// Elements of a whole operand.
    static func count(_ columns: Int, depth: Int) -> Int { (columns + width - 1) / width * step(depth: depth) }

    /// Packs a matrix, `[depth, columns]`.
    static func pack(
        _ matrix: MatrixPointer, columns: Int, depth: Int, into strips: UnsafeMutablePointer<Float>, step: Int
    ) {
        (matrix.isTransposed ? martlet_pack_strips_transposed : martlet_pack_strips)(
            Int64(columns), Int64(depth), matrix.start, Int64(matrix.stride), strips, Int64(step))
    }
}

extension Compute {
    /// Packs a part of a weight whose depth is the rows.
    func packStripsOfColumns(
        _ weight: Weight, adding update: WeightUpdate?, rows: Range<Int>, columns: Range<Int>,
        into target: UnsafeMutablePointer<Float>
    ) {
        let step = StripPack.step(depth: rows.count)
        forEachFloatBlock(of: weight, adding: update, rows: rows, columns: columns) { block, height, part in
            let at = (part.lowerBound - columns.lowerBound) / StripPack.width * step
            StripPack.pack(
                block, columns: part.count, depth: height.count,
                into: target + at + (height.lowerBound - rows.lowerBound) * StripPack.width, step: step)
        }
    }

    /// Packs rows of a weight as columns.
    func packStripsOfRows(
        _ weight: Weight, adding update: WeightUpdate?, rows: Range<Int>, into target: UnsafeMutablePointer<Float>
    ) {
        let step = StripPack.step(depth: weight.columns)
        forEachFloatBlock(of: weight, adding: update, rows: rows, columns: 0..<weight.columns) { block, part, columns in
            let at = (part.lowerBound - rows.lowerBound) / StripPack.width * step
            StripPack.pack(
                block.transposed, columns: part.count, depth: columns.count,
                into: target + at + columns.lowerBound * StripPack.width, step: step)
        }
    }

    /// Calls `body` with rows of a weight, as many as a strip has columns, and a part of their columns at a time, as float32:
    /// where they lie, if they lie so and nothing is added to them, else in scratch that stays in cache.
    private func forEachFloatBlock(
        of weight: Weight, adding update: WeightUpdate?, rows: Range<Int>, columns: Range<Int>,
        _ body: (MatrixPointer, _ rows: Range<Int>, _ columns: Range<Int>) -> Void
    ) {
        let heights = TileGrid.heights(of: rows, at: StripPack.width)
        if update == nil, precision == .float32, let start = weight.float32Pointer {
            for rows in heights {
                let at = start + rows.lowerBound * weight.columns + columns.lowerBound
                body(MatrixPointer(at, stride: weight.columns), rows, columns)
            }
            return
        }
        // A multiple of every format's block.
        let widths = TileGrid.heights(of: columns, at: 1024)
        withScratch((heights.first?.count ?? 0) * (widths.first?.count ?? 0)) { scratch in
            for rows in heights {
                for part in widths {
                    weight.expand(rows: rows, columns: part, precision: precision, into: scratch)
                    update?.add(to: scratch, rows: rows, columns: part)
                    body(MatrixPointer(scratch, stride: part.count), rows, part)
                }
            }
        }
    }
}
