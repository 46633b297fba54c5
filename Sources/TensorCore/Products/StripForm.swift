import CKernels

/// How the right operand of a product on vectors lies, in strips of columns, and what it and the rows are rounded to.
package enum StripForm: Sendable {
    /// As they are.
    case float32
    /// To bfloat16, but float32 in memory.
    case rounded
    /// To float16, blocks of 96 steps along the depth and 32 columns under a scale each.
    case float16

    /// Columns of a strip.
    var width: Int { self == .float16 ? Int(MARTLET_FLOAT16_STRIP) : Int(MARTLET_STRIP) }

    /// Rows of a weight, along the depth, that are packed at a time: whole blocks.
    var packedDepth: Int { self == .float16 ? Int(MARTLET_FLOAT16_STEPS) : width }

    /// Floats between strips that follow one another; of a part of the depth, what lies before the next part.
    func step(depth: Int) -> Int {
        self == .float16 ? Int(martlet_float16_strip_size(Int64(depth))) / 2 : width * depth
    }

    /// Floats of a whole operand.
    func count(_ columns: Int, depth: Int) -> Int { (columns + width - 1) / width * step(depth: depth) }

    /// Packs a matrix, `[depth, columns]`.
    func pack(
        _ matrix: MatrixPointer, columns: Int, depth: Int, into strips: UnsafeMutablePointer<Float>, step: Int
    ) {
        let (columns, depth, stride) = (Int64(columns), Int64(depth), Int64(matrix.stride))
        switch self {
        case .float32, .rounded:
            (matrix.isTransposed ? martlet_pack_strips_transposed : martlet_pack_strips)(
                columns, depth, matrix.start, stride, strips, Int64(step))
        case .float16:
            (matrix.isTransposed ? martlet_pack_float16_transposed : martlet_pack_float16)(
                columns, depth, matrix.start, stride, strips.tiles, Int64(2 * step))
        }
    }

    /// Runs a product on the calling thread.
    func multiply(_ product: inout martlet_strip_product) {
        switch self {
        case .float32, .rounded: martlet_strip_product(&product)
        case .float16: martlet_float16_product(&product)
        }
    }
}
