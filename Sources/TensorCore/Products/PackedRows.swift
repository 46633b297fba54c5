import CKernels

/// Rows of activations packed as left operands of products on tiles, group by group.
struct PackedRows: Sendable {
    /// The tiles, as bfloat16 elements.
    let tiles: Tensor
    /// Columns of the matrix.
    let depth: Int
    /// Group g has the rows `offsets[g]..<offsets[g + 1]`.
    let offsets: [Int]
    /// Blocks of 16 rows before each group.
    private let firstBlocks: [Int]

    fileprivate init(_ rows: Int, depth: Int, offsets: [Int], on compute: Compute) {
        (self.depth, self.offsets) = (depth, offsets)
        var blocks = [0]
        for (start, end) in zip(offsets, offsets.dropFirst()) {
            blocks.append(blocks[blocks.count - 1] + TilePack.blocks(end - start))
        }
        firstBlocks = blocks
        tiles = compute.empty([blocks[blocks.count - 1] * TilePack.step(depth: depth)], .bfloat16)
    }

    /// Elements between blocks of 16 rows.
    var step: Int { TilePack.step(depth: depth) }

    /// The tiles of a group from the given row (a multiple of 16) of it and column (a multiple of 32) on.
    func start(group: Int = 0, row: Int = 0, column: Int = 0) -> UnsafePointer<UInt16> {
        precondition(
            row % TilePack.side == 0 && column % TilePack.depth == 0, "tiles do not begin at \(row), \(column)")
        return tiles.bfloats + (firstBlocks[group] + row / TilePack.side) * step + column / TilePack.depth
            * TilePack.elements
    }

    /// Where packing writes.
    fileprivate func output(group: Int, row: Int) -> UnsafeMutablePointer<UInt16> {
        UnsafeMutablePointer(mutating: start(group: group, row: row))
    }
}

extension Compute {
    /// The rows of `x` as left operands, packed by all threads unless they were packed last time.
    /// - Parameters:
    ///   - offsets: group g has the rows `offsets[g]..<offsets[g + 1]`; `nil` is one group.
    ///   - alongside: is called with rows that have just been packed.
    func packedRows(_ x: Tensor, offsets: [Int]? = nil, alongside: (Range<Int>) -> Void = { _ in }) -> PackedRows {
        let offsets = offsets ?? [0, x.rows]
        if let packed = recentlyPackedRows(x, offsets: offsets) { return packed }
        // The old tiles go back to the pool before new ones are asked for.
        recentRows.clear()
        let packed = packRows(offsets: offsets, depth: x.columns, alongside: alongside) { TileSource(x, row: $0) }
        recentRows.keep(packed, of: x)
        return packed
    }

    /// The same rows, if they were packed last time, in these groups.
    func recentlyPackedRows(_ x: Tensor, offsets: [Int]) -> PackedRows? {
        recentRows.find(x).flatMap { $0.offsets == offsets ? $0 : nil }
    }

    /// Packs rows from anywhere; `source` gives the matrix from a row on.
    func packRows(
        offsets: [Int], depth: Int, alongside: (Range<Int>) -> Void = { _ in }, _ source: (Int) -> TileSource
    ) -> PackedRows {
        let packed = PackedRows(offsets[offsets.count - 1], depth: depth, offsets: offsets, on: self)
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
                step: packed.step)
            alongside(first..<first + rows.count)
        }
        return packed
    }
}
