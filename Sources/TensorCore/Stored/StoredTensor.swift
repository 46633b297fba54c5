/// A tensor as it lies in a file: shape, format and bytes, expanded to float32 only where it is needed.
///
/// A tensor is seen as a matrix: `columns` is the last dimension, `rows` the product of all others. A scalar is
/// 1 × 1, a vector of n is 1 × n. Rows are always counted in Hugging Face order, whatever the file's order.
public struct StoredTensor: Sendable {
    /// The tensor's name.
    public let name: String
    /// Dimensions, outermost first; empty for a scalar.
    public let shape: [Int]
    /// How its numbers are stored.
    public let format: StoredFormat
    /// The stored bytes, rows in the file's order.
    public let bytes: MappedBytes
    /// The file's order of rows. For a vector it is the order of the elements (the bias of a query projection).
    public let rowOrder: RowOrder
    /// Product of all dimensions but the last.
    public let rows: Int
    /// The last dimension.
    public let columns: Int

    /// `rows × columns`.
    public var elementCount: Int { rows * columns }
    /// Bytes that one row takes in the file.
    public var bytesPerRow: Int { columns / format.blockElements * format.blockBytes }

    /// Describes stored bytes as a tensor after checking that they can be one.
    public init(
        name: String, shape: [Int], format: StoredFormat, bytes: MappedBytes, rowOrder: RowOrder = .plain
    ) throws(StoredTensorError) {
        let columns = shape.last ?? 1
        guard let rows = Self.product(shape.dropLast()), let count = Self.product([rows, columns]) else {
            throw .shapeOverflow(tensor: name, shape: shape)
        }
        guard columns % format.blockElements == 0 else {
            throw .partialBlock(tensor: name, columns: columns, format: format)
        }
        guard let expected = format.byteCount(elements: count) else {
            throw .shapeOverflow(tensor: name, shape: shape)
        }
        guard expected == bytes.count else {
            throw .byteCount(tensor: name, shape: shape, format: format, expected: expected, found: bytes.count)
        }
        if case .interleavedHalves(let size) = rowOrder {
            let ordered = shape.count == 1 ? columns : rows
            guard size > 0, size % 2 == 0, ordered % size == 0 else {
                throw .headSize(tensor: name, rows: ordered, headSize: size)
            }
        }
        (self.name, self.shape, self.format, self.bytes, self.rowOrder) = (name, shape, format, bytes, rowOrder)
        (self.rows, self.columns) = (rows, columns)
    }

    /// The product of dimensions; nil if one is negative or the product overflows.
    private static func product(_ dimensions: some Sequence<Int>) -> Int? {
        var count = 1
        for dimension in dimensions {
            let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
            guard dimension >= 0, !overflow else { return nil }
            count = product
        }
        return count
    }

    /// The same bytes under another name or in another row order.
    public func with(name: String? = nil, rowOrder: RowOrder? = nil) throws(StoredTensorError) -> StoredTensor {
        try StoredTensor(
            name: name ?? self.name, shape: shape, format: format, bytes: bytes, rowOrder: rowOrder ?? self.rowOrder)
    }
}
