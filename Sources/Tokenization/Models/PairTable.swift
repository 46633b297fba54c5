/// The merges of byte-pair encoding: two neighbouring ids → rank and the id of the joined token.
struct PairTable: Sendable {
    /// What a pair without a merge yields. It compares greater than every merge.
    static let none = UInt64.max
    private static let free = UInt64.max

    /// Pair and merge alternate; open addressing with at most half of the slots in use.
    private var slots: [UInt64]
    private let shift: UInt64

    init(capacity: Int) {
        var bits: UInt64 = 4
        while 1 << bits < 2 * capacity { bits += 1 }
        shift = 64 - bits
        slots = Array(repeating: Self.free, count: 2 << bits)
    }

    /// Two ids as one number.
    @inline(__always)
    static func pair(_ left: TokenID, _ right: TokenID) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// Adds a merge; the last one given for a pair counts.
    mutating func insert(_ left: TokenID, _ right: TokenID, rank: Int, id: TokenID) {
        let pair = Self.pair(left, right)
        let slot = slots.withUnsafeBufferPointer { find(pair, $0) }
        slots[slot] = pair
        slots[slot + 1] = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: id))
    }

    @inline(__always)
    private func find(_ pair: UInt64, _ slots: UnsafeBufferPointer<UInt64>) -> Int {
        var slot = Int(truncatingIfNeeded: (pair &* 0x9E37_79B9_7F4A_7C15) >> shift) * 2
        while slots[slot] != pair, slots[slot] != Self.free { slot = (slot + 2) & (slots.count - 1) }
        return slot
    }

    /// The merge of two ids, rank in the upper and id in the lower half, or `none`.
    @inline(__always)
    func merge(_ left: TokenID, _ right: TokenID) -> UInt64 {
        let pair = Self.pair(left, right)
        return slots.withUnsafeBufferPointer { $0[find(pair, $0) + 1] }
    }

    @inline(__always)
    static func id(_ merge: UInt64) -> TokenID { TokenID(truncatingIfNeeded: merge) }

    /// The ids of the tokens that the merges make, and of the two that each is made of, in no order.
    func forEach(_ body: (_ left: TokenID, _ right: TokenID, _ merged: TokenID) -> Void) {
        for slot in stride(from: 0, to: slots.count, by: 2) where slots[slot] != Self.free {
            let pair = slots[slot]
            body(TokenID(truncatingIfNeeded: pair >> 32), TokenID(truncatingIfNeeded: pair), Self.id(slots[slot + 1]))
        }
    }

    /// The merges as pairs in the order of their ranks.
    var inOrder: [(left: TokenID, right: TokenID)] {
        var found: [(merge: UInt64, pair: UInt64)] = []
        for slot in stride(from: 0, to: slots.count, by: 2) where slots[slot] != Self.free {
            found.append((slots[slot + 1], slots[slot]))
        }
        return found.sorted { $0.merge < $1.merge }.map {
            (TokenID(truncatingIfNeeded: $0.pair >> 32), TokenID(truncatingIfNeeded: $0.pair))
        }
    }
}
