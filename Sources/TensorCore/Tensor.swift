import Glibc

/// How the elements of an activation or parameter lie in memory.
public enum ElementType: String, Sendable, Codable {
    /// IEEE single precision.
    case float32
    /// The upper half of a float32, kept as `UInt16`.
    case bfloat16

    /// Bytes of one element.
    public var byteCount: Int { self == .float32 ? 4 : 2 }
}

/// A buffer of a ``BufferPool`` that goes back to it when the last tensor over it is gone.
final class Storage: @unchecked Sendable {
    // `@unchecked`: written only by the operation that allocated it, before it is published, or by the only owner.
    let pointer: UnsafeMutableRawPointer
    let byteCount: Int
    /// How often elements were changed after they had been published.
    fileprivate(set) var changes = 0
    private let pool: BufferPool

    /// - Parameter zeroCount: bytes of zeros behind the elements.
    init(byteCount: Int, zeroCount: Int, pool: BufferPool) {
        self.byteCount = byteCount + zeroCount
        pointer = pool.take(self.byteCount)
        memset(pointer + byteCount, 0, zeroCount)
        self.pool = pool
    }

    deinit { pool.give(pointer, byteCount) }
}

/// A row-major array, dense unless it is a view of some columns of another. A value: once an operation has published a
/// tensor, nobody writes to it, except through ``withUniqueFloats(_:)``, which needs that no other tensor shares the
/// storage.
public struct Tensor: Sendable {
    /// Sizes, outermost first.
    public let shape: [Int]
    /// Type of the elements.
    public let elementType: ElementType
    /// Elements from the beginning of one row to that of the next.
    package let rowStride: Int
    /// Elements of the storage before the first of this tensor.
    let offset: Int
    var storage: Storage

    /// - Parameter zeroRows: rows of zeros that lie behind the elements, for products that read whole tiles.
    init(shape: [Int], elementType: ElementType, zeroRows: Int = 0, pool: BufferPool) {
        precondition(shape.allSatisfy { $0 >= 0 }, "negative size in shape \(shape)")
        self.shape = shape
        self.elementType = elementType
        (rowStride, offset) = (shape.last ?? 1, 0)
        let count = shape.reduce(1, *)
        storage = Storage(
            byteCount: count * elementType.byteCount, zeroCount: zeroRows * rowStride * elementType.byteCount, pool: pool)
    }

    /// Number of elements.
    public var count: Int { shape.reduce(1, *) }
    /// Size of the last dimension; 1 for a scalar.
    public var columns: Int { shape.last ?? 1 }
    /// Number of rows when all dimensions but the last are taken together.
    public var rows: Int {
        var rows = 1
        for index in shape.indices.dropLast() { rows *= shape[index] }
        return rows
    }

    /// The shape with another size of the last dimension.
    package func shape(columns: Int) -> [Int] {
        var shape = shape
        if shape.isEmpty { shape = [columns] } else { shape[shape.count - 1] = columns }
        return shape
    }

    /// Whether the rows lie one after another without gaps.
    package var isDense: Bool { rowStride == columns }

    /// The elements of a dense float32 tensor. The pointer is valid while the tensor lives.
    package var floats: UnsafePointer<Float> {
        precondition(isDense, "expected a dense tensor, found a view of shape \(shape)")
        return floatRows
    }

    /// The bit patterns of a dense bfloat16 tensor.
    package var bfloats: UnsafePointer<UInt16> {
        precondition(isDense, "expected a dense tensor, found a view of shape \(shape)")
        return bfloatRows
    }

    /// The first row of a float32 tensor; the others follow ``rowStride`` elements apart.
    package var floatRows: UnsafePointer<Float> {
        precondition(elementType == .float32, "expected a float32 tensor, found \(elementType) of shape \(shape)")
        return UnsafePointer(storage.pointer.assumingMemoryBound(to: Float.self) + offset)
    }

    /// The first row of a bfloat16 tensor; the others follow ``rowStride`` elements apart.
    package var bfloatRows: UnsafePointer<UInt16> {
        precondition(elementType == .bfloat16, "expected a bfloat16 tensor, found \(elementType) of shape \(shape)")
        return UnsafePointer(storage.pointer.assumingMemoryBound(to: UInt16.self) + offset)
    }

    /// The elements for the operation that has just allocated this tensor and not yet published it.
    package var output: UnsafeMutablePointer<Float> { UnsafeMutablePointer(mutating: floats) }
    package var bfloatOutput: UnsafeMutablePointer<UInt16> { UnsafeMutablePointer(mutating: bfloats) }

    /// Changes the elements of a float32 tensor in place.
    /// - Precondition: no other tensor shares the storage.
    public mutating func withUniqueFloats<R>(_ body: (UnsafeMutableBufferPointer<Float>) throws -> R) rethrows -> R {
        try body(uniqueFloats())
    }

    /// The same for a change of many tensors together. The elements stay where they are while the tensor lives.
    package mutating func uniqueFloats() -> UnsafeMutableBufferPointer<Float> {
        precondition(mayChange(), "in-place update of a shared tensor of shape \(shape)")
        return UnsafeMutableBufferPointer(start: output, count: count)
    }

    /// Whether this value is the only one over its storage, so that its elements may be changed. If so, what is remembered
    /// of them is not found any more.
    package mutating func mayChange() -> Bool {
        guard isKnownUniquelyReferenced(&storage) else { return false }
        storage.changes += 1
        return true
    }

    /// The same elements under another shape with the same count.
    public func reshaped(_ shape: [Int]) -> Tensor {
        precondition(shape.reduce(1, *) == count && isDense, "cannot reshape \(self.shape) to \(shape)")
        return Tensor(viewing: self, shape: shape, offset: offset, rowStride: shape.last ?? 1)
    }

    /// Some columns of every row, without a copy; the storage lives as long as the view.
    public func columnSlice(_ range: Range<Int>) -> Tensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns \(range) of \(shape)")
        return Tensor(
            viewing: self, shape: shape.dropLast() + [range.count], offset: offset + range.lowerBound,
            rowStride: rowStride)
    }

    /// Some rows, without a copy; the storage lives as long as the view.
    func rowSlice(_ range: Range<Int>) -> Tensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(shape)")
        return Tensor(
            viewing: self, shape: [range.count, columns], offset: offset + range.lowerBound * rowStride, rowStride: rowStride)
    }

    private init(viewing other: Tensor, shape: [Int], offset: Int, rowStride: Int) {
        (self.shape, self.offset, self.rowStride) = (shape, offset, rowStride)
        (elementType, storage) = (other.elementType, other.storage)
    }

    /// A copy of the elements as float32, for results, files and tests.
    public func toArray() -> [Float] {
        var values: [Float] = []
        values.reserveCapacity(count)
        for start in stride(from: 0, to: rows * rowStride, by: max(1, rowStride)) {
            switch elementType {
            case .float32: values += UnsafeBufferPointer(start: floatRows + start, count: columns)
            case .bfloat16: values += (start..<start + columns).map { Float(bitPattern: UInt32(bfloatRows[$0]) << 16) }
            }
        }
        return values
    }
}
