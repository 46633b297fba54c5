/// Remembers the ids of short words. Fixed in size: a new word takes the place of an old one with the same hash.
struct WordCache: Sendable {
    /// The longest word in bytes that can be remembered.
    static let longestWord = 15
    private static let bits: UInt64 = 14

    /// The bytes of a word and, in the uppermost byte, their number.
    struct Key: Sendable, Hashable {
        var low: UInt64
        var high: UInt64

        /// The key of a word of 1 to 15 bytes.
        @inline(__always)
        init(_ bytes: UnsafeBufferPointer<UInt8>, _ range: PieceRange) {
            let count = range.end - range.start
            if range.start + 16 <= bytes.count {
                let raw = UnsafeRawBufferPointer(bytes)
                low = raw.loadUnaligned(fromByteOffset: range.start, as: UInt64.self)
                high = raw.loadUnaligned(fromByteOffset: range.start + 8, as: UInt64.self)
                if count < 8 { (low, high) = (low & (1 << UInt64(8 * count) - 1), 0) }
                if count >= 8 { high &= 1 << UInt64(8 * (count - 8)) - 1 }
            } else {
                (low, high) = (0, 0)
                for at in 0..<count {
                    let byte = UInt64(bytes[range.start + at])
                    if at < 8 { low |= byte << UInt64(8 * at) } else { high |= byte << UInt64(8 * (at - 8)) }
                }
            }
            high |= UInt64(count) << 56
        }

        @inline(__always)
        var slot: Int {
            let hash = ByteHash.mix(low ^ 0xA076_1D64_78BD_642F, high ^ 0xE703_7ED1_A0B4_28DB)
            return Int(truncatingIfNeeded: hash & (1 << WordCache.bits - 1))
        }
    }

    struct Entry: Sendable {
        var key = (low: UInt64(0), high: UInt64(0))
        var ids = SIMD4<TokenID>()
        var count = 0
    }

    private var entries = [Entry](repeating: Entry(), count: 1 << bits)

    /// Appends the ids of a word if it is known.
    @inline(__always)
    func append(_ key: Key, to output: inout [TokenID]) -> Bool {
        entries.withUnsafeBufferPointer { entries in
            let slot = key.slot
            guard entries[slot].key.low == key.low, entries[slot].key.high == key.high else { return false }
            for at in 0..<entries[slot].count { output.append(entries[slot].ids[at]) }
            return true
        }
    }

    /// Remembers a word, unless it consists of more than four tokens.
    mutating func store(_ key: Key, _ ids: ArraySlice<TokenID>) {
        guard ids.count <= 4 else { return }
        var entry = Entry(key: (key.low, key.high), count: ids.count)
        for (at, id) in ids.enumerated() { entry.ids[at] = id }
        entries[key.slot] = entry
    }
}
