/// Why bytes cannot be a tensor of the stated shape, format and row order.
public enum StoredTensorError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A dimension is negative, or the number of elements or bytes does not fit a machine word.
    case shapeOverflow(tensor: String, shape: [Int])
    /// A row of a quantised tensor is not a whole number of blocks.
    case partialBlock(tensor: String, columns: Int, format: StoredFormat)
    /// The number of bytes is not what shape and format need.
    case byteCount(tensor: String, shape: [Int], format: StoredFormat, expected: Int, found: Int)
    /// The rows cannot be grouped into heads of the stated size.
    case headSize(tensor: String, rows: Int, headSize: Int)
    /// The parts of a tensor in 4 bits do not fit together.
    case fourBit(tensor: String, FourBitProblem)
    /// A part does not fit the other parts that a tensor is put together from.
    case assembly(tensor: String, part: String, shape: [Int])

    /// One sentence: what was found, what was expected, and for which tensor.
    public var description: String {
        switch self {
        case .shapeOverflow(let tensor, let shape):
            "tensor \(tensor) has the impossible shape \(shape); the file is damaged"
        case .partialBlock(let tensor, let columns, let format):
            "tensor \(tensor) has \(columns) columns, but \(format.rawValue) needs a multiple of \(format.blockElements)"
        case .byteCount(let tensor, let shape, let format, let expected, let found):
            "tensor \(tensor) of shape \(shape) in \(format.rawValue) needs \(expected) bytes, but has \(found)"
        case .headSize(let tensor, let rows, let headSize):
            "tensor \(tensor) has \(rows) rows, which are not heads of \(headSize) rows (an even number is needed)"
        case .fourBit(let tensor, let problem): "tensor \(tensor) in 4 bits is damaged: \(problem)"
        case .assembly(let tensor, let part, let shape):
            "tensor \(tensor) cannot be put together: the shape \(shape) of \(part) does not fit the other parts"
        }
    }
}
