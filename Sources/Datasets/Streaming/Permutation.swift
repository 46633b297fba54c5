/// An order of `0..<count` that takes no memory: a seeded bijection computed place by place.
///
/// A Feistel network permutes the smallest even power of two that holds all numbers; what lands outside is sent through
/// again until it lands inside (cycle walking), fewer than four times on average. Black, Rogaway: "Ciphers with
/// arbitrary finite domains", CT-RSA 2002.
package struct Permutation: Sendable {
    private let count: UInt64
    private let halfBits: UInt64
    private let keys: [UInt64]
    private static let rounds = 6

    /// The order that belongs to a seed and a stream.
    package init(count: Int, seed: UInt64, stream: UInt64) {
        precondition(count >= 0, "an order of \(count) numbers")
        self.count = UInt64(count)
        let bits = UInt64.bitWidth - (UInt64(max(count, 2)) - 1).leadingZeroBitCount
        halfBits = UInt64(bits + 1) / 2
        var generator = SplitMix64(seed: seed, stream: stream)
        keys = (0..<Self.rounds).map { _ in generator.next() }
    }

    /// The number at a place of the order.
    package subscript(place: Int) -> Int {
        precondition(place >= 0 && UInt64(place) < count, "place \(place) of \(count)")
        var value = UInt64(place)
        repeat { value = mixed(value) } while value >= count
        return Int(value)
    }

    private func mixed(_ value: UInt64) -> UInt64 {
        let mask = (1 << halfBits) - 1 as UInt64
        var (left, right) = (value >> halfBits, value & mask)
        for key in keys { (left, right) = (right, left ^ (SplitMix64.scramble(right ^ key) & mask)) }
        return left << halfBits | right
    }
}
