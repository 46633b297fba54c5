import CKernels

/// Packed rows and a packed panel that meet along a depth: one of the pairs of operands of a product on tiles.
struct TileOperands {
    let left: PackedRows
    /// Column of the packed rows that the depth begins with, a multiple of 32.
    var column = 0
    /// `[depth, columns]`.
    let right: UnsafePointer<UInt16>
    let depth: Int

    /// For the kernel, from a row of the left operand on.
    func from(row: Int) -> martlet_tile_operands {
        martlet_tile_operands(
            left: left.start(row: row, column: column), right: right, left_step: Int64(left.step),
            right_step: Int64(TilePack.step(depth: depth)), depth: Int64(TilePack.depthBlocks(depth)))
    }
}

extension Compute {
    /// Computes rows of a panel of a result on the calling thread: one product and perhaps a thin one beside it.
    func multiply(
        _ operands: TileOperands, _ thin: TileOperands?, rows: Range<Int>, columns: Range<Int>,
        into target: UnsafeMutablePointer<Float>, stride: Int, accumulate: Bool, on tiles: TileUnit
    ) {
        var product = martlet_tile_product(rows: rows, columns: columns, into: target, stride: stride)
        product.accumulate = accumulate ? 1 : 0
        product.operands.0 = operands.from(row: rows.lowerBound)
        if let thin { product.operands.1 = thin.from(row: rows.lowerBound) }
        tiles.multiply(&product)
    }

    /// The left factor of a term, its scale included.
    func packedLeft(_ term: ThinTerm) -> PackedRows {
        let (left, rank) = (term.scale == 1 ? term.left : scaled(term.left, by: term.scale), term.rank)
        return packRows(offsets: [0, left.rows], depth: rank) { TileSource(left, row: $0) }
    }

    /// Packs some columns of the right factor of a term.
    func pack(_ term: ThinTerm, columns: Range<Int>, into target: UnsafeMutablePointer<UInt16>) {
        TileSource(term.right(from: columns.lowerBound)).packRight(
            columns: columns.count, depth: term.rank, into: target, step: TilePack.step(depth: term.rank))
    }

    private func scaled(_ x: Tensor, by factor: Float) -> Tensor {
        let y = empty(x.shape)
        martlet_scale(Int64(x.count), factor, x.floats, y.output)
        return y
    }
}

extension martlet_tile_product {
    init(rows: Range<Int>, columns: Range<Int>, into target: UnsafeMutablePointer<Float>, stride: Int) {
        self.init()
        (self.rows, self.columns) = (Int64(rows.count), Int64(columns.count))
        (result, self.stride) = (target, Int64(stride))
    }
}
