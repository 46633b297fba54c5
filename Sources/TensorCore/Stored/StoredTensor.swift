/// A tensor as it lies in a file: shape, format and bytes, expanded to float32 only where it is needed.
///
/// A tensor is seen as a matrix: `columns` is the last dimension, `rows` the product of all others. A scalar is
/// 1 × 1, a vector of n is 1 × n. Rows are always counted in Hugging Face order, whatever the file's order.
public final class StoredTensor: Sendable {
    /// The tensor's name.
    public let name: String
    /// Dimensions, outermost first; empty for a scalar.
    public let shape: [Int]
    /// Its numbers as they are stored.
    public let contents: Contents
    /// Product of all dimensions but the last.
    public let rows: Int
    /// The last dimension.
    public let columns: Int

    /// The ways in which numbers are stored.
    public enum Contents: Sendable {
        /// Every row is whole blocks of a format. The order is that of the rows in the file; for a vector that of its
        /// elements (the bias of a query projection).
        case rows(StoredFormat, MappedBytes, RowOrder)
        /// 4 bits in bitsandbytes' layout.
        case fourBit(FourBitMatrix)
        /// 4-bit floats with scales apart; every row is whole blocks.
        case microscaled(MicroscaledMatrix)
        /// Put together from other tensors.
        case assembled(StoredAssembly)
    }

    /// `rows × columns`.
    public var elementCount: Int { rows * columns }

    /// The format of its rows, or of the rows of all tensors that it is put together from; nil if it has another form.
    public var format: StoredFormat? {
        switch contents {
        case .rows(let format, _, _): return format
        case .assembled(let assembly):
            let formats = Set(assembly.parts.map(\.tensor.format))
            return formats.count == 1 ? formats.first ?? nil : nil
        case .fourBit, .microscaled: return nil
        }
    }

    /// Rows that should be expanded together, so that nothing is expanded twice.
    package var rowBlock: Int { if case .assembled = contents { 64 } else { 1 } }

    /// Bytes that its numbers take.
    public var byteCount: Int {
        switch contents {
        case .rows(_, let bytes, _): bytes.count
        case .fourBit(let matrix): matrix.byteCount
        case .microscaled(let matrix): matrix.byteCount
        case .assembled(let assembly): assembly.byteCount
        }
    }

    /// Describes a matrix in 4 bits as a tensor.
    public init(name: String, shape: [Int], fourBit matrix: FourBitMatrix) throws(StoredTensorError) {
        guard let rows = Self.product(shape.dropLast()), let count = Self.product([rows, shape.last ?? 1]) else {
            throw .shapeOverflow(tensor: name, shape: shape)
        }
        guard count == matrix.count else {
            throw .fourBit(tensor: name, .partSize(.codes, expected: (count + 1) / 2, found: matrix.codes.count))
        }
        (self.name, self.shape, contents, self.rows, columns) = (name, shape, .fourBit(matrix), rows, shape.last ?? 1)
    }

    /// Describes 4-bit floats with scales apart as a tensor after checking that they can be one.
    public init(name: String, shape: [Int], microscaled matrix: MicroscaledMatrix) throws(StoredTensorError) {
        let (columns, block) = (shape.last ?? 1, MicroscaledMatrix.blockSize)
        guard let rows = Self.product(shape.dropLast()), let count = Self.product([rows, columns]) else {
            throw .shapeOverflow(tensor: name, shape: shape)
        }
        guard columns % block == 0 else { throw .partialBlock(tensor: name, columns: columns, format: .mxfp4) }
        guard matrix.codes.count == count / 2, matrix.scales.count == count / block else {
            throw .byteCount(
                tensor: name, shape: shape, format: .mxfp4, expected: count / 2 + count / block, found: matrix.byteCount)
        }
        (self.name, self.shape, contents) = (name, shape, .microscaled(matrix))
        (self.rows, self.columns) = (rows, columns)
    }

    /// Describes what is put together from other tensors as one tensor.
    public init(name: String, shape: [Int], assembly: StoredAssembly) throws(StoredTensorError) {
        let columns = shape.last ?? 1
        guard let rows = Self.product(shape.dropLast()), rows == assembly.groups * assembly.rowsPerGroup,
            columns == assembly.columns
        else { throw .shapeOverflow(tensor: name, shape: shape) }
        (self.name, self.shape, contents) = (name, shape, .assembled(assembly))
        (self.rows, self.columns) = (rows, columns)
    }

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
        (self.name, self.shape, contents) = (name, shape, .rows(format, bytes, rowOrder))
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
}
