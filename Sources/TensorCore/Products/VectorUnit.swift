import CKernels

/// Vectors that multiply packed operands: those of the CPU, by kernels of our own.
package enum VectorUnit: Sendable {
    /// They multiply float32.
    case float32
    /// They multiply float32, and twice as many of float16 at a time.
    case float16
}

/// How the right operand of a product on vectors lies, in strips of columns, and what it and the rows are rounded to.
package enum StripForm: Sendable {
    /// As they are.
    case float32
    /// To bfloat16, but float32 in memory.
    case rounded
    /// To float16, blocks of 64 steps along the depth under a scale each.
    case float16

    /// Columns of a strip.
    var width: Int { self == .float16 ? Int(MARTLET_FLOAT16_STRIP) : Int(MARTLET_STRIP) }

    /// Along the depth, a strip is packed in multiples of so many elements.
    var depthStep: Int { self == .float16 ? Int(MARTLET_FLOAT16_STEPS) : 1 }

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
