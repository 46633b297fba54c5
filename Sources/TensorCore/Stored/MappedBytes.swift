internal import CKernels
import Foundation

/// A run of read-only bytes that keeps alive what it lies in: a mapped file or a buffer on the heap.
///
/// Copying and slicing are cheap and share the bytes.
///
/// Unchecked Sendable: the bytes are never written after construction, and the owner is Sendable itself.
public struct MappedBytes: @unchecked Sendable {
    private let owner: any AnyObject & Sendable
    private let view: UnsafeRawBufferPointer

    /// Number of bytes.
    public var count: Int { view.count }

    /// All bytes of a mapped file.
    public init(_ file: MappedFile) {
        owner = file
        view = file.bytes
    }

    /// A copy of the given bytes on the heap, aligned to 64.
    public init(copying bytes: some Collection<UInt8>) {
        self.init(count: bytes.count) { target in
            let copied: Void? = bytes.withContiguousStorageIfAvailable {
                target.copyMemory(from: UnsafeRawBufferPointer($0))
            }
            if copied == nil { target.copyBytes(from: bytes) }
        }
    }

    /// A heap buffer of `count` zero bytes, aligned to 64, that `fill` writes before anyone else sees it.
    public init<Failure: Error>(
        count: Int, fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        let heap = HeapBytes(count: count)
        owner = heap
        view = UnsafeRawBufferPointer(heap.bytes)
        try fill(heap.bytes)
    }

    private init(owner: any AnyObject & Sendable, view: UnsafeRawBufferPointer) {
        self.owner = owner
        self.view = view
    }

    /// The bytes, valid only as long as this value, a slice of it or the file lives: prefer `withUnsafeBytes`.
    public var unsafeBytes: UnsafeRawBufferPointer { view }

    /// Calls `body` with the bytes, which stay valid during the call.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(owner) {} }
        return try body(view)
    }

    /// The bytes of `range`, counted from the start of this run, which must contain it.
    public subscript(range: Range<Int>) -> MappedBytes {
        MappedBytes(owner: owner, view: UnsafeRawBufferPointer(rebasing: view[range]))
    }

    /// Whether both hold the same bytes. What was compared leaves the process's memory (``release()``).
    package func areSame(as other: MappedBytes) -> Bool {
        count == other.count
            && stride(from: 0, to: count, by: Self.pieceSize).allSatisfy { start in
                let range = start..<min(count, start + Self.pieceSize)
                let (piece, others) = (self[range], other[range])
                defer {
                    piece.release()
                    others.release()
                }
                guard let a = piece.view.baseAddress, let b = others.view.baseAddress else { return true }
                return memcmp(a, b, range.count) == 0
            }
    }

    /// Bytes that are read before they leave memory.
    private static let pieceSize = 1 << 24

    /// A sum over the bytes that notices accidental damage; the same on every machine.
    /// - Parameter releasing: whether what was read leaves the process's memory (``release()``) before all is read.
    public func checksum(releasing: Bool = false) -> UInt64 {
        var sum = martlet_checksum()
        martlet_checksum_begin(&sum)
        for start in stride(from: 0, to: count, by: Self.pieceSize) {
            let piece = self[start..<min(count, start + Self.pieceSize)]
            piece.withUnsafeBytes {
                martlet_checksum_add(&sum, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), Int64($0.count))
            }
            if releasing { piece.release() }
        }
        return martlet_checksum_end(&sum)
    }

    /// The mapped file the bytes lie in; nil for bytes on the heap.
    public var file: MappedFile? { owner as? MappedFile }

    /// The mapped file the bytes lie in, and where; nil for bytes on the heap.
    var place: (file: MappedFile, range: Range<Int>)? {
        guard let file, let start = view.baseAddress, let base = file.bytes.baseAddress else { return nil }
        return (file, start - base..<start - base + view.count)
    }

    /// Takes the pages of a mapped file out of the process's memory (``MappedFile/release(_:)``); does nothing for bytes
    /// on the heap.
    public func release() {
        if let place { place.file.release(place.range) }
    }
}

/// Unchecked Sendable: written only inside `MappedBytes.init`, before the object is shared.
private final class HeapBytes: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer

    init(count: Int) {
        bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { bytes.deallocate() }
}
