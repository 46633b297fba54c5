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

    /// Puts another position in the place of one that is there.
    mutating func replace(_ hash: UInt64, _ position: Int, with other: Int) {
        let upper = hash & 0xFFFF_FFFF_0000_0000
        guard let slot = slots.firstIndex(of: upper | UInt64(position + 1)) else { return }
        slots[slot] = upper | UInt64(other + 1)
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
