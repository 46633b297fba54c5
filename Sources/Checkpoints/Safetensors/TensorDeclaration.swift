/// A tensor that a writer will write: name, shape and element type are declared before any data come.
public struct TensorDeclaration: Sendable, Hashable {
    /// The tensor's name.
    public let name: String
    /// Dimensions, outermost first; empty for a scalar.
    public let shape: [Int]
    /// The element type in the file.
    public let type: SafetensorsType

    /// Declares a tensor.
    public init(name: String, shape: [Int], type: SafetensorsType) {
        (self.name, self.shape, self.type) = (name, shape, type)
    }

    /// Its size in bytes.
    func byteCount() throws(WritingProblem) -> Int {
        var count = type.byteCount
        for dimension in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
            guard dimension >= 0, !overflow else { throw .shapeOverflow(tensor: name, shape: shape) }
            count = product
        }
        return count
    }
}
