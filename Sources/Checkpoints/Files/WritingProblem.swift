/// What a writer refuses because the file would be wrong. These are mistakes of the caller, not of a file.
public enum WritingProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// Two tensors of the same name were declared.
    case duplicateName(String)
    /// A tensor was declared with a name that the format keeps for itself.
    case reservedName(String)
    /// A dimension is negative, or the byte count does not fit a machine word.
    case shapeOverflow(tensor: String, shape: [Int])
    /// Data came for a tensor that was not declared.
    case notDeclared(String)
    /// More data came for a tensor than its shape and type hold.
    case tooMuch(tensor: String, expected: Int, found: Int)
    /// Less data came for a tensor than its shape and type hold.
    case incomplete(tensor: String, expected: Int, found: Int)
    /// Floating-point numbers came for a tensor that is not of a floating-point type.
    case notConvertible(tensor: String, type: SafetensorsType)
    /// The shard limit is not positive.
    case badShardLimit(Int)

    /// The rest of a sentence that starts with the file's path.
    public var description: String {
        switch self {
        case .duplicateName(let name): "tensor \(name) was declared twice"
        case .reservedName(let name): "no tensor can be called \(name) in a safetensors file"
        case .shapeOverflow(let tensor, let shape): "tensor \(tensor) was declared with the impossible shape \(shape)"
        case .notDeclared(let name): "tensor \(name) was not declared before its data came"
        case .tooMuch(let tensor, let expected, let found):
            "tensor \(tensor) holds \(expected) bytes, but \(found) were given"
        case .incomplete(let tensor, let expected, let found):
            "tensor \(tensor) holds \(expected) bytes, but only \(found) were given before the file was finished"
        case .notConvertible(let tensor, let type):
            "tensor \(tensor) is of type \(type.rawValue), which float32 numbers are not converted to"
        case .badShardLimit(let limit): "the largest shard size must be positive, not \(limit)"
        }
    }
}
