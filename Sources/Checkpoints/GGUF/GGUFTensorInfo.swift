public import TensorCore

/// One tensor of a GGUF file as the file describes it. Any element type.
public struct GGUFTensorInfo: Sendable {
    /// The tensor's name.
    public let name: String
    /// Its element type.
    public let type: GGMLType
    /// Dimensions, outermost first (the file has them the other way round); empty for a scalar.
    public let shape: [Int]
    /// Its bytes; nil if the type's layout is not known.
    public let bytes: MappedBytes?
}

/// The description of a tensor before its data are looked at.
struct GGUFTensorRecord {
    let name: String
    let type: GGMLType
    /// Outermost first.
    let shape: [Int]
    /// From the start of the data.
    let offset: UInt64
    /// Nil if the type's layout is not known.
    let byteCount: Int?

    /// Reads the next description.
    init(_ cursor: inout GGUFCursor, index: Int) throws(GGUFProblem) {
        name = try cursor.string("the name of tensor \(index)")
        let part = "the description of tensor \(name)"
        let dimensions: UInt32 = try cursor.integer(part)
        guard dimensions <= 4 else { throw .tooManyDimensions(tensor: name, count: dimensions) }
        let innermostFirst: [UInt64] = try cursor.numbers(Int(dimensions), part)
        type = GGMLType(rawValue: try cursor.integer(part))
        offset = try cursor.integer(part)
        let raw = innermostFirst.reversed() as [UInt64]
        var elements = 1
        var shape: [Int] = []
        for dimension in raw {
            guard let size = Int(exactly: dimension) else { throw .shapeOverflow(tensor: name, shape: raw) }
            let (product, overflow) = elements.multipliedReportingOverflow(by: size)
            guard !overflow else { throw .shapeOverflow(tensor: name, shape: raw) }
            elements = product
            shape.append(size)
        }
        self.shape = shape
        guard let block = type.block else {
            byteCount = nil
            return
        }
        guard (shape.last ?? 1) % block.elements == 0 else {
            throw .partialBlock(
                tensor: name, columns: shape.last ?? 1, type: type.description, block: block.elements)
        }
        let (bytes, overflow) = (elements / block.elements).multipliedReportingOverflow(by: block.bytes)
        guard !overflow else { throw .shapeOverflow(tensor: name, shape: raw) }
        byteCount = bytes
    }
}
