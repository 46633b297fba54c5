import CKernels

/// What multiplies packed operands on one thread.
package enum ProductUnit: Sendable {
    /// Tile registers, which multiply bfloat16.
    case tiles(TileUnit)
    /// Vectors: the right operand lies in strips of columns.
    case strips(StripForm)

    /// Rows of a tile of the result: whole groups of those that a kernel takes at a time.
    var tileHeight: Int {
        switch self {
        case .tiles: 256
        case .strips: 32 * Int(MARTLET_STRIP_ROWS)
        }
    }

    /// Columns of the right operand that are packed side by side, whole or not at all in most panels.
    package var columnStep: Int {
        switch self {
        case .tiles: 2 * TilePack.side
        case .strips(let form): form.width
        }
    }

    /// Columns of a panel at most, if the depth leaves room for them.
    var widestPanel: Int {
        switch self {
        case .tiles, .strips(.float32), .strips(.rounded): 288
        case .strips(.float16): 576
        }
    }

    /// Columns of a panel at least, where rows can be cut instead: what preparing rows costs for every panel.
    var narrowestPanel: Int {
        switch self {
        case .tiles, .strips(.float32), .strips(.rounded): 64
        case .strips(.float16): 192
        }
    }

    /// Along the depth, so many rows of weights are packed at once.
    var roundDepth: Int {
        switch self {
        case .tiles: 3584
        case .strips(.float16): 3072
        case .strips: 1536
        }
    }
}

/// Rows of activations, and how a thread packs the columns that they meet along a depth: a factor of a product.
struct Factor {
    enum Rows {
        case tiles(TileRows)
        /// Where they lie, and how products see them.
        case matrix(Tensor, StripForm)
    }

    let rows: Rows
    /// Column of the rows that the depth begins with, for tiles a multiple of 32.
    var column = 0
    let depth: Int
    /// Packs some columns of the right operand.
    let pack: (_ columns: Range<Int>, Packed) -> Void

    /// Where packed columns lie: `tiles` or `strips` of them.
    typealias Packed = UnsafeMutablePointer<Float>

    /// Floats that packed columns take.
    fileprivate func room(for columns: Int) -> Int {
        switch rows {
        case .tiles: (TilePack.count(columns, depth: depth) + 1) / 2
        case .matrix(_, let form): form.count(columns, depth: depth)
        }
    }
}

/// A factor with its columns packed.
struct PackedFactor {
    fileprivate let factor: Factor
    fileprivate let right: UnsafePointer<Float>

    /// For tiles, from a row of the left operand on.
    fileprivate func tileOperands(from row: Int) -> martlet_tile_operands? {
        guard case .tiles(let left) = factor.rows else { return nil }
        return martlet_tile_operands(
            left: left.operand(row: row, column: factor.column),
            right: martlet_packed_tiles(right.tiles, Int64(TilePack.step(depth: factor.depth))),
            depth: Int64(TilePack.depthBlocks(factor.depth)))
    }

    /// For strips, from a row of the left operand on.
    fileprivate func stripProduct(from row: Int) -> (martlet_strip_product, StripForm)? {
        guard case .matrix(let matrix, let form) = factor.rows else { return nil }
        var product = martlet_strip_product(matrix, row: row, column: factor.column, form)
        (product.depth, product.right) = (Int64(factor.depth), UnsafeRawPointer(right))
        return (product, form)
    }
}

extension Compute {
    /// What multiplies many rows by weights, if not the library.
    /// - Parameter updates: those of the weights; tiles take none, because they would be rounded with the weight.
    func unit(updates: [WeightUpdate?]) -> ProductUnit? {
        if let tiles { return updates.allSatisfy { $0 == nil } ? .tiles(tiles) : nil }
        if vectors == nil { return nil }
        return .strips(multipliesFloat16 ? .float16 : roundsToBfloat16 ? .rounded : .float32)
    }

    /// The way of a thin term as a second factor; none without a term.
    func factors(of term: ThinTerm?, on unit: ProductUnit) -> [Factor] {
        guard let term else { return [] }
        let left = term.scale == 1 ? term.left : scaled(term.left, by: term.scale)
        switch unit {
        case .tiles:
            let packed = packRows(offsets: [0, left.rows], depth: term.rank) { TileSource(left, row: $0) }
            return [
                Factor(rows: .tiles(packed), depth: term.rank) { columns, target in
                    TileSource(term.right(from: columns.lowerBound)).packRight(
                        columns: columns.count, depth: term.rank, into: target.tiles,
                        step: TilePack.step(depth: term.rank))
                }
            ]
        case .strips(let form):
            // Thin terms are not rounded to bfloat16.
            let form = form == .rounded ? .float32 : form
            return [
                Factor(rows: .matrix(left, form), depth: term.rank) { columns, target in
                    form.pack(
                        term.right(from: columns.lowerBound), columns: columns.count, depth: term.rank, into: target,
                        step: form.step(depth: term.rank))
                }
            ]
        }
    }

    /// Packs some columns of the factors of products, one or two of each, on the calling thread.
    func withPacked(_ products: [[Factor]], columns: Range<Int>, _ body: ([[PackedFactor]]) -> Void) {
        withScratch(products.joined().reduce(0) { $0 + $1.room(for: columns.count) }) { scratch in
            var free = scratch
            body(products.map { factors in
                factors.map { factor in
                    factor.pack(columns, free)
                    defer { free += factor.room(for: columns.count) }
                    return PackedFactor(factor: factor, right: free)
                }
            })
        }
    }

    /// Computes rows of the packed columns of a product on the calling thread.
    func multiply(
        _ factors: [PackedFactor], rows: Range<Int>, columns: Range<Int>, into target: UnsafeMutablePointer<Float>,
        stride: Int, accumulate: Bool, on unit: ProductUnit
    ) {
        switch unit {
        case .tiles(let tiles):
            var product = martlet_tile_product(rows: rows, columns: columns, into: target, stride: stride)
            product.accumulate = accumulate ? 1 : 0
            let operands = factors.compactMap { $0.tileOperands(from: rows.lowerBound) }
            product.operands.0 = operands[0]
            if operands.count > 1 { product.operands.1 = operands[1] }
            guard martlet_rows_collide(Int64(stride * MemoryLayout<Float>.stride)) != 0 else {
                return tiles.multiply(&product)
            }
            withScratch(rows.count * columns.count) {
                product.partial = $0
                tiles.multiply(&product)
            }
        case .strips:
            for (index, factor) in factors.enumerated() {
                guard case (var product, let form)? = factor.stripProduct(from: rows.lowerBound) else { continue }
                (product.rows, product.columns) = (Int64(rows.count), Int64(columns.count))
                (product.result, product.result_stride) = (target, Int64(stride))
                product.accumulate = accumulate || index > 0 ? 1 : 0
                form.multiply(&product)
            }
        }
    }
}

extension martlet_strip_product {
    /// A product whose left operand begins at an element of a matrix.
    init(_ matrix: Tensor, row: Int, column: Int, _ form: StripForm) {
        self.init()
        let at = row * matrix.rowStride + column
        switch matrix.elementType {
        case .float32:
            left = UnsafeRawPointer(matrix.floatRows + at)
            left_form = form == .rounded ? MARTLET_LEFT_ROUNDED : MARTLET_LEFT_FLOAT32
        case .bfloat16:
            left = UnsafeRawPointer(matrix.bfloatRows + at)
            left_form = MARTLET_LEFT_BFLOAT16
        }
        left_stride = Int64(matrix.rowStride)
    }
}

extension martlet_tile_product {
    init(rows: Range<Int>, columns: Range<Int>, into target: UnsafeMutablePointer<Float>, stride: Int) {
        self.init()
        (self.rows, self.columns) = (Int64(rows.count), Int64(columns.count))
        (result, self.stride) = (target, Int64(stride))
    }
}

extension UnsafeMutablePointer<Float> {
    /// The same memory for tiles.
    var tiles: UnsafeMutablePointer<UInt16> { UnsafeMutableRawPointer(self).assumingMemoryBound(to: UInt16.self) }
}

extension UnsafePointer<Float> {
    /// The same memory for tiles.
    fileprivate var tiles: UnsafePointer<UInt16> { UnsafeRawPointer(self).assumingMemoryBound(to: UInt16.self) }
}
