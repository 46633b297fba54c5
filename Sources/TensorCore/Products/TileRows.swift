import CKernels

/// Rows of activations as left operands of products on tiles, group by group: packed, or where they lie, if they are
/// bfloat16 numbers in rows that are whole tiles wide.
struct TileRows: Sendable {
    /// The rows themselves, or the tiles that were made of them.
    private let elements: Tensor
    /// Columns of the matrix.
    let depth: Int
    /// Group g has the rows `offsets[g]..<offsets[g + 1]`.
    let offsets: [Int]
    /// Blocks of 16 rows before each group; `nil` where the rows lie as they are.
    private let firstBlocks: [Int]?

    /// Room for packed rows.
    fileprivate init(packedRows offsets: [Int], depth: Int, on compute: Compute) {
        (self.depth, self.offsets) = (depth, offsets)
        var blocks = [0]
        for (start, end) in zip(offsets, offsets.dropFirst()) {
            blocks.append(blocks[blocks.count - 1] + TilePack.blocks(end - start))
        }
        firstBlocks = blocks
        elements = compute.emptyTiles([blocks[blocks.count - 1] * TilePack.step(depth: depth)])
    }

    /// Rows that are read where they lie; `nil` if they cannot be. What is read beyond the last row of a group belongs to
    /// the next one or is zero; either meets nothing but zeros, or gives rows of a result that nobody wants.
    fileprivate init?(inPlace x: Tensor, offsets: [Int]) {
        let end = zip(offsets, offsets.dropFirst()).reduce(0) { end, group in
            max(end, group.0 + TilePack.blocks(group.1 - group.0) * TilePack.side)
        }
        guard x.elementType == .bfloat16, x.columns % TilePack.depth == 0, x.rowStride % TilePack.depth == 0,
            x.offset % TilePack.depth == 0, martlet_rows_collide(Int64(x.rowStride * 2)) == 0,
            (x.offset + end * x.rowStride) * 2 <= x.storage.byteCount
        else { return nil }
        (elements, depth, self.offsets, firstBlocks) = (x, x.columns, offsets, nil)
    }

    /// Rows of zeros that a matrix needs behind it to be read in place, wherever its last group begins.
    static let zeroRows = TilePack.side - 1

    /// The rows of a group from a row (a multiple of 16) and a column (a multiple of 32) on, as a left operand.
    func operand(group: Int = 0, row: Int = 0, column: Int = 0) -> martlet_tile_operand {
        precondition(
            row % TilePack.side == 0 && column % TilePack.depth == 0, "tiles do not begin at \(row), \(column)")
        guard let firstBlocks else {
            let stride = elements.rowStride
            return martlet_tile_operand(
                tiles: elements.bfloatRows + (offsets[group] + row) * stride + column,
                block_step: Int64(TilePack.side * stride), depth_step: Int64(TilePack.depth), row_step: Int64(stride))
        }
        let step = TilePack.step(depth: depth)
        let start = (firstBlocks[group] + row / TilePack.side) * step + column / TilePack.depth * TilePack.elements
        return martlet_packed_tiles(elements.bfloats + start, Int64(step))
    }

    /// The columns of a group from one (a multiple of 32) on, as the right operand of a sum over its rows; see tiles.h. It
    /// has half as many columns.
    func rightOperand(group: Int = 0, column: Int) -> martlet_tile_operand {
        let left = operand(group: group, column: column)
        return martlet_tile_operand(
            tiles: left.tiles, block_step: left.depth_step, depth_step: left.block_step, row_step: left.row_step)
    }

    /// Where packing writes.
    fileprivate func output(group: Int, row: Int) -> UnsafeMutablePointer<UInt16> {
        UnsafeMutablePointer(mutating: operand(group: group, row: row).tiles)
    }
}

extension Compute {
    /// The rows of `x` as left operands: where they lie, or packed by all threads unless they were packed last time.
    /// - Parameters:
    ///   - offsets: group g has the rows `offsets[g]..<offsets[g + 1]`; `nil` is one group.
    ///   - alongside: is called with rows that have just been packed.
    func tileRows(_ x: Tensor, offsets: [Int]? = nil, alongside: (Range<Int>) -> Void = { _ in }) -> TileRows {
        let offsets = offsets ?? [0, x.rows]
        if let rows = tileRowsAtHand(x, offsets: offsets) { return rows }
        // The old tiles go back to the pool before new ones are asked for.
        recentRows.clear()
        let packed = packRows(offsets: offsets, depth: x.columns, alongside: alongside) { TileSource(x, row: $0) }
        recentRows.keep(packed, of: x)
        return packed
    }

    /// The same, if nothing has to be packed for it.
    func tileRowsAtHand(_ x: Tensor, offsets: [Int]? = nil) -> TileRows? {
        let offsets = offsets ?? [0, x.rows]
        return TileRows(inPlace: x, offsets: offsets)
            ?? recentRows.find(x).flatMap { $0.offsets == offsets ? $0 : nil }
    }

    /// Packs rows from anywhere; `source` gives the matrix from a row on.
    func packRows(
        offsets: [Int], depth: Int, alongside: (Range<Int>) -> Void = { _ in }, _ source: (Int) -> TileSource
    ) -> TileRows {
        let packed = TileRows(packedRows: offsets, depth: depth, on: self)
        let size = max(TilePack.side, (1 << 16) / max(1, depth) / TilePack.side * TilePack.side)
        var pieces: [(group: Int, rows: Range<Int>)] = []
        for group in 0..<offsets.count - 1 {
            let count = offsets[group + 1] - offsets[group]
            for row in stride(from: 0, to: count, by: size) { pieces.append((group, row..<min(count, row + size))) }
        }
        threads.run(tiles: pieces.count) { tile in
            let (group, rows) = pieces[tile]
            let first = offsets[group] + rows.lowerBound
            source(first).packLeft(
                rows: rows.count, depth: depth, into: packed.output(group: group, row: rows.lowerBound),
                step: TilePack.step(depth: depth))
            alongside(first..<first + rows.count)
        }
        return packed
    }
}
