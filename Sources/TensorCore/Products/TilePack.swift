import CKernels

/// A float32 or bfloat16 matrix in memory, from which tiles are packed; float32 is rounded to nearest even.
package struct TileSource {
    enum Elements {
        case float32(UnsafePointer<Float>)
        case bfloat16(UnsafePointer<UInt16>)
    }

    let elements: Elements
    /// Elements between rows.
    let stride: Int
    /// Whether the matrix is the transpose of what lies there.
    var isTransposed = false

    init(_ matrix: MatrixPointer) {
        (elements, stride, isTransposed) = (.float32(matrix.start), matrix.stride, matrix.isTransposed)
    }

    init(bfloat16 start: UnsafePointer<UInt16>, stride: Int, isTransposed: Bool = false) {
        (elements, self.stride, self.isTransposed) = (.bfloat16(start), stride, isTransposed)
    }

    /// Rows of a tensor from the given row and column on.
    package init(_ tensor: Tensor, row: Int = 0, column: Int = 0) {
        let at = row * tensor.rowStride + column
        switch tensor.elementType {
        case .float32: elements = .float32(tensor.floatRows + at)
        case .bfloat16: elements = .bfloat16(tensor.bfloatRows + at)
        }
        stride = tensor.rowStride
    }

    /// The same memory read as its transpose.
    package var transposed: TileSource {
        var copy = self
        copy.isTransposed.toggle()
        return copy
    }

    /// The same matrix from a row on.
    func moved(down rows: Int) -> TileSource {
        let by = rows * (isTransposed ? 1 : stride)
        switch elements {
        case .float32(let start): return TileSource(.float32(start + by), stride, isTransposed)
        case .bfloat16(let start): return TileSource(.bfloat16(start + by), stride, isTransposed)
        }
    }

    private init(_ elements: Elements, _ stride: Int, _ isTransposed: Bool) {
        (self.elements, self.stride, self.isTransposed) = (elements, stride, isTransposed)
    }

    /// Packs the matrix, `[rows, depth]`, as a left operand; blocks of 16 rows begin `step` elements apart.
    package func packLeft(rows: Int, depth: Int, into tiles: UnsafeMutablePointer<UInt16>, step: Int) {
        pack(rows, depth, alongDepth: !isTransposed, transposesTiles: isTransposed, tiles, step)
    }

    /// Packs the matrix, `[depth, columns]`, as a right operand; blocks of 16 columns begin `step` elements apart.
    func packRight(columns: Int, depth: Int, into tiles: UnsafeMutablePointer<UInt16>, step: Int) {
        pack(columns, depth, alongDepth: isTransposed, transposesTiles: isTransposed, tiles, step)
    }

    private func pack(
        _ sides: Int, _ depth: Int, alongDepth: Bool, transposesTiles: Bool, _ tiles: UnsafeMutablePointer<UInt16>,
        _ step: Int
    ) {
        let (sides, depth, stride, step) = (Int64(sides), Int64(depth), Int64(stride), Int64(step))
        let transpose: Int32 = transposesTiles ? 1 : 0
        switch elements {
        case .float32(let start):
            (alongDepth ? martlet_pack_rows_f32 : martlet_pack_columns_f32)(
                sides, depth, start, stride, transpose, tiles, step)
        case .bfloat16(let start):
            (alongDepth ? martlet_pack_rows_bf16 : martlet_pack_columns_bf16)(
                sides, depth, start, stride, transpose, tiles, step)
        }
    }
}

/// Sizes of packed operands.
package enum TilePack {
    /// Elements of a tile.
    package static let elements = Int(MARTLET_TILE_ELEMENTS)
    /// Rows of a left tile, columns of a right one.
    package static let side = Int(MARTLET_TILE_SIDE)
    /// Elements of a tile along the summed dimension.
    package static let depth = Int(MARTLET_TILE_DEPTH)

    /// Tiles along a summed dimension.
    static func depthBlocks(_ depth: Int) -> Int { (depth + Self.depth - 1) / Self.depth }
    /// Blocks of rows or columns.
    static func blocks(_ sides: Int) -> Int { (sides + side - 1) / side }
    /// Elements between blocks that follow one another.
    package static func step(depth: Int) -> Int { depthBlocks(depth) * elements }
    /// Elements of a whole operand.
    package static func count(_ sides: Int, depth: Int) -> Int { blocks(sides) * step(depth: depth) }
}
