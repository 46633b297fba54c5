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
    // `@unchecked`: written only by the operation that allocated it, before it is published.
    let pointer: UnsafeMutableRawPointer
    private let byteCount: Int
    private let pool: BufferPool

    init(byteCount: Int, pool: BufferPool) {
        pointer = pool.take(byteCount)
        self.byteCount = byteCount
        self.pool = pool
    }

    deinit { pool.give(pointer, byteCount) }
}

/// A dense row-major array. A value: once an operation has published a tensor, nobody writes to it, except through
/// ``withUniqueFloats(_:)``, which needs that no other tensor shares the storage.
public struct Tensor: Sendable {
    /// Sizes, outermost first.
    public let shape: [Int]
    /// Type of the elements.
    public let elementType: ElementType
    var storage: Storage

    init(shape: [Int], elementType: ElementType, pool: BufferPool) {
        precondition(shape.allSatisfy { $0 >= 0 }, "negative size in shape \(shape)")
        self.shape = shape
        self.elementType = elementType
        let count = shape.reduce(1, *)
        storage = Storage(byteCount: count * elementType.byteCount, pool: pool)
    }

    /// Number of elements.
    public var count: Int { shape.reduce(1, *) }
    /// Size of the last dimension; 1 for a scalar.
    public var columns: Int { shape.last ?? 1 }
    /// Number of rows when all dimensions but the last are taken together.
    public var rows: Int { shape.dropLast().reduce(1, *) }

    /// The elements of a float32 tensor. The pointer is valid while the tensor lives.
    package var floats: UnsafePointer<Float> {
        precondition(elementType == .float32, "expected a float32 tensor, found \(elementType) of shape \(shape)")
        return UnsafePointer(storage.pointer.assumingMemoryBound(to: Float.self))
    }

    /// The bit patterns of a bfloat16 tensor.
    package var bfloats: UnsafePointer<UInt16> {
        precondition(elementType == .bfloat16, "expected a bfloat16 tensor, found \(elementType) of shape \(shape)")
        return UnsafePointer(storage.pointer.assumingMemoryBound(to: UInt16.self))
    }

    /// The elements for the operation that has just allocated this tensor and not yet published it.
    package var output: UnsafeMutablePointer<Float> { UnsafeMutablePointer(mutating: floats) }
    package var bfloatOutput: UnsafeMutablePointer<UInt16> { UnsafeMutablePointer(mutating: bfloats) }

    /// Changes the elements of a float32 tensor in place.
    /// - Precondition: no other tensor shares the storage.
    public mutating func withUniqueFloats<R>(_ body: (UnsafeMutableBufferPointer<Float>) throws -> R) rethrows -> R {
        precondition(isKnownUniquelyReferenced(&storage), "in-place update of a shared tensor of shape \(shape)")
        return try body(UnsafeMutableBufferPointer(start: output, count: count))
    }

    /// Whether this value is the only one over its storage.
    package mutating func isUnique() -> Bool { isKnownUniquelyReferenced(&storage) }

    /// The same elements under another shape with the same count.
    public func reshaped(_ shape: [Int]) -> Tensor {
        precondition(shape.reduce(1, *) == count, "cannot reshape \(self.shape) to \(shape)")
        return Tensor(view: self, shape: shape)
    }

    private init(view: Tensor, shape: [Int]) {
        self.shape = shape
        elementType = view.elementType
        storage = view.storage
    }

    /// A copy of the elements as float32, for results, files and tests.
    public func toArray() -> [Float] {
        switch elementType {
        case .float32: Array(UnsafeBufferPointer(start: floats, count: count))
        case .bfloat16: (0..<count).map { Float(bitPattern: UInt32(bfloats[$0]) << 16) }
        }
    }
}
