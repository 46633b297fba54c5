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

/// An index from hashes to positions in an array that the owner keeps: open addressing, nothing is ever removed.
struct HashIndex: Sendable {
    /// The upper half is a hash, the lower half a position plus one; zero is a free slot.
    private var slots: [UInt64] = []
    private(set) var count = 0

    init(capacity: Int = 0) {
        if capacity > 0 { slots = Array(repeating: 0, count: Self.size(for: capacity)) }
    }

    private static func size(for capacity: Int) -> Int {
        var size = 16
        while size < 2 * capacity { size *= 2 }
        return size
    }

    /// The position stored under `hash` that `matches` accepts.
    @inline(__always)
    func position(_ hash: UInt64, where matches: (Int) -> Bool) -> Int? {
        guard !slots.isEmpty else { return nil }
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash >> 32) & mask
        while slots[slot] != 0 {
            if slots[slot] >> 32 == hash >> 32 {
                let position = Int(truncatingIfNeeded: slots[slot] & 0xFFFF_FFFF) - 1
                if matches(position) { return position }
            }
            slot = (slot + 1) & mask
        }
        return nil
    }

    /// Stores a position that is not there yet.
    mutating func insert(_ hash: UInt64, _ position: Int) {
        if 2 * (count + 1) > slots.count { grow() }
        place(hash & 0xFFFF_FFFF_0000_0000 | UInt64(position + 1))
        count += 1
    }

    private mutating func place(_ entry: UInt64) {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: entry >> 32) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = entry
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: 0, count: max(16, 2 * old.count))
        for entry in old where entry != 0 { place(entry) }
    }
}
