/// A fast 64-bit hash of bytes, seeded anew in every process so that a file cannot be made to collide on purpose.
enum ByteHash {
    private static let seed = UInt64.random(in: .min ... .max)

    @inline(__always)
    static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }

    static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
        let raw = UnsafeRawBufferPointer(bytes)
        var state = seed ^ UInt64(truncatingIfNeeded: raw.count)
        var at = 0
        while at + 8 <= raw.count {
            state = mix(state ^ raw.loadUnaligned(fromByteOffset: at, as: UInt64.self), 0x9E37_79B9_7F4A_7C15)
            at += 8
        }
        var tail: UInt64 = 0
        while at < raw.count {
            tail = tail << 8 | UInt64(raw[at])
            at += 1
        }
        return mix(state ^ tail, 0xD6E8_FEB8_6659_FD93)
    }

    static func hash(_ text: String) -> UInt64 {
        text.utf8.withContiguousStorageIfAvailable { hash($0) } ?? Array(text.utf8).withUnsafeBufferPointer { hash($0) }
    }
}

extension String {
    /// Whether both strings consist of the same bytes; `==` would also call canonically equivalent strings equal.
    @inline(__always)
    func hasSameBytes(as other: String) -> Bool {
        utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
    }
}
