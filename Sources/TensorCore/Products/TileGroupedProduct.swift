import CKernels

/// Grouped products in bfloat16 on tiles: the thread that computes a panel packs the weights under it.
extension Compute {
    /// Adds the contribution of one block of weights to a panel; the first one sets it.
    func multiply(
        _ rows: TileRows, _ x: Tensor, _ panel: GroupedPanel, _ piece: GroupedPanel.Piece,
        into target: UnsafeMutablePointer<Float>, stride: Int, on tiles: TileUnit
    ) {
        withTiles(of: piece) { right in
            withLeft(rows, x, panel, piece) { left in
                var product = martlet_tile_product(
                    rows: panel.rows, columns: panel.columns, into: target, stride: stride)
                product.accumulate = piece.isFirst ? 0 : 1
                product.operands.0 = martlet_tile_operands(
                    left: left, right: right, depth: Int64(TilePack.depthBlocks(piece.depth)))
                tiles.multiply(&product)
            }
        }
    }

    /// Calls `body` with a block of weights, packed as a right operand.
    func withTiles(of piece: GroupedPanel.Piece, _ body: (martlet_tile_operand) -> Void) {
        let (depth, width) = (piece.depth, piece.isTransposed ? piece.storedRows.count : piece.storedColumns.count)
        let step = TilePack.step(depth: depth)
        withTileScratch(TilePack.count(width, depth: depth)) { right in
            if piece.isTransposed {
                packRight(piece.weight, rows: piece.storedRows, into: right)
            } else {
                packColumns(piece.weight, rows: piece.storedRows, columns: piece.storedColumns, into: right, step: step)
            }
            body(martlet_packed_tiles(right, Int64(step)))
        }
    }

    /// The columns of a group's rows that meet a block of weights. Where they do not begin with a tile they are packed
    /// apart.
    private func withLeft(
        _ rows: TileRows, _ x: Tensor, _ panel: GroupedPanel, _ piece: GroupedPanel.Piece,
        _ body: (martlet_tile_operand) -> Void
    ) {
        if piece.operandColumn % TilePack.depth == 0 {
            return body(rows.operand(group: panel.group, column: piece.operandColumn))
        }
        let step = TilePack.step(depth: piece.depth)
        withTileScratch(TilePack.count(panel.rows.count, depth: piece.depth)) { scratch in
            TileSource(x, row: panel.rows.lowerBound, column: piece.operandColumn).packLeft(
                rows: panel.rows.count, depth: piece.depth, into: scratch, step: step)
            body(martlet_packed_tiles(scratch, Int64(step)))
        }
    }
}
