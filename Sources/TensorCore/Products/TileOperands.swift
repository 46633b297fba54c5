import CKernels

/// Rows as tiles, and how a thread packs the columns that they meet along a depth: a factor of a product on tiles.
struct TileFactor {
    let left: TileRows
    /// Column of the rows that the depth begins with, a multiple of 32.
    var column = 0
    let depth: Int
    /// Packs some columns of the right operand.
    let pack: (_ columns: Range<Int>, UnsafeMutablePointer<UInt16>) -> Void
}

/// A factor with its columns packed.
struct TileOperands {
    fileprivate let factor: TileFactor
    fileprivate let right: UnsafePointer<UInt16>

    /// For the kernel, from a row of the left operand on.
    fileprivate func from(row: Int) -> martlet_tile_operands {
        martlet_tile_operands(
            left: factor.left.operand(row: row, column: factor.column),
            right: martlet_packed_tiles(right, Int64(TilePack.step(depth: factor.depth))),
            depth: Int64(TilePack.depthBlocks(factor.depth)))
    }
}

extension Compute {
    /// The way of a thin term as a second factor; none without a term.
    func factors(of term: ThinTerm?) -> [TileFactor] {
        guard let term else { return [] }
        let left = term.scale == 1 ? term.left : scaled(term.left, by: term.scale)
        let packed = packRows(offsets: [0, left.rows], depth: term.rank) { TileSource(left, row: $0) }
        return [
            TileFactor(left: packed, depth: term.rank) { columns, target in
                TileSource(term.right(from: columns.lowerBound)).packRight(
                    columns: columns.count, depth: term.rank, into: target, step: TilePack.step(depth: term.rank))
            }
        ]
    }

    /// Packs some columns of the factors of products, one or two of each, on the calling thread.
    func withOperands(
        of products: [[TileFactor]], columns: Range<Int>, _ body: ([[TileOperands]]) -> Void
    ) {
        func room(_ factor: TileFactor) -> Int { TilePack.count(columns.count, depth: factor.depth) }
        withTileScratch(products.joined().reduce(0) { $0 + room($1) }) { scratch in
            var free = scratch
            body(products.map { factors in
                factors.map { factor in
                    factor.pack(columns, free)
                    defer { free += room(factor) }
                    return TileOperands(factor: factor, right: free)
                }
            })
        }
    }

    /// Computes rows of the packed columns of a product on the calling thread.
    func multiply(
        _ operands: [TileOperands], rows: Range<Int>, columns: Range<Int>, into target: UnsafeMutablePointer<Float>,
        stride: Int, accumulate: Bool, on tiles: TileUnit
    ) {
        var product = martlet_tile_product(rows: rows, columns: columns, into: target, stride: stride)
        product.accumulate = accumulate ? 1 : 0
        product.operands.0 = operands[0].from(row: rows.lowerBound)
        if operands.count > 1 { product.operands.1 = operands[1].from(row: rows.lowerBound) }
        tiles.multiply(&product)
    }
}

extension martlet_tile_product {
    init(rows: Range<Int>, columns: Range<Int>, into target: UnsafeMutablePointer<Float>, stride: Int) {
        self.init()
        (self.rows, self.columns) = (Int64(rows.count), Int64(columns.count))
        (result, self.stride) = (target, Int64(stride))
    }
}
