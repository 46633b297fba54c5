/// Reads the numbers and strings of a GGUF file front to back, never beyond its end, and allocates nothing that the
/// rest of the file could not fill.
struct GGUFCursor {
    private let bytes: UnsafeRawBufferPointer
    /// Index of the next byte.
    private(set) var offset = 0

    /// Reads `bytes`, which must stay valid as long as the cursor is used.
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// How many bytes are left.
    var remaining: Int { bytes.count - offset }

    /// The next `count` bytes; `part` says in an error what they belong to.
    mutating func take(
        _ count: UInt64, _ part: @autoclosure () -> String
    ) throws(GGUFProblem) -> UnsafeRawBufferPointer {
        guard count <= UInt64(remaining) else {
            throw .truncated(part: part(), offset: offset, needed: count, fileSize: bytes.count)
        }
        let taken = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(count)])
        offset += Int(count)
        return taken
    }

    /// The next integer of the type that is expected.
    mutating func integer<Value: FixedWidthInteger>(
        _ part: @autoclosure () -> String
    ) throws(GGUFProblem) -> Value {
        let raw = try take(UInt64(MemoryLayout<Value>.size), part())
        return Value(littleEndian: raw.loadUnaligned(as: Value.self))
    }

    /// A 64-bit count of items that take at least `bytesEach` bytes; refused if the rest of the file cannot hold them.
    mutating func count(bytesEach: Int, _ part: @autoclosure () -> String) throws(GGUFProblem) -> Int {
        let count: UInt64 = try integer(part())
        guard count <= UInt64(remaining / bytesEach) else {
            throw .impossibleCount(part: part(), count: count, remaining: remaining)
        }
        return Int(count)
    }

    /// The next string: a 64-bit length and so many bytes of UTF-8.
    mutating func string(_ part: @autoclosure () -> String) throws(GGUFProblem) -> String {
        let length: UInt64 = try integer(part())
        let raw = try take(length, part())
        let text = raw.withMemoryRebound(to: UInt8.self) { String(validating: $0, as: UTF8.self) }
        guard let text else { throw .badString(part: part()) }
        return text
    }

    /// An array of plain numbers, copied in one go.
    mutating func numbers<Value: BitwiseCopyable>(
        _ count: Int, _ part: @autoclosure () -> String
    ) throws(GGUFProblem) -> [Value] {
        let (needed, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Value>.stride)
        guard !overflow else { throw .impossibleCount(part: part(), count: UInt64(count), remaining: remaining) }
        let raw = try take(UInt64(needed), part())
        return [Value](unsafeUninitializedCapacity: count) { buffer, initialized in
            UnsafeMutableRawBufferPointer(buffer).copyMemory(from: raw)
            initialized = count
        }
    }
}
