/// Byte strings by token id, in one block of memory.
struct TokenBytes: Sendable {
    private var starts: [Int32] = [0]
    private var storage: [UInt8] = []

    mutating func append(_ write: (inout [UInt8]) -> Void) {
        write(&storage)
        starts.append(Int32(truncatingIfNeeded: storage.count))
    }

    @inline(__always)
    func count(of id: TokenID) -> Int { Int(starts[Int(id) + 1] - starts[Int(id)]) }

    @inline(__always)
    subscript(id: TokenID) -> ArraySlice<UInt8> { storage[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])] }
}
