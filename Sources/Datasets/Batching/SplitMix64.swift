/// The SplitMix64 generator: a 64-bit counter stepped by the golden ratio, each value scrambled by a fixed finaliser.
///
/// Chosen for orders, not for arithmetic: it is a few lines, the same on every platform, and any two (seed, stream)
/// pairs give unrelated sequences. Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014.
public struct SplitMix64: Sendable, Equatable {
    private var counter: UInt64

    /// Starts the sequence that belongs to a seed and a stream.
    /// - Parameters:
    ///   - seed: The recipe's seed.
    ///   - stream: What the numbers are for, for example the epoch.
    public init(seed: UInt64, stream: UInt64 = 0) {
        // Scrambling both keeps neighbouring seeds and streams from sharing a stretch of the counter.
        counter = Self.scramble(seed &+ Self.step) ^ Self.scramble(stream &+ 0x632B_E59B_D9B4_E019)
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        counter &+= Self.step
        return Self.scramble(counter)
    }

    /// A number in `0..<bound`, every one equally likely.
    /// - Parameter bound: At least 1.
    public mutating func next(below bound: UInt64) -> UInt64 {
        precondition(bound > 0, "there is no number below 0")
        // The high half of a 128-bit product is the number; the first 2⁶⁴ mod bound low halves would favour some.
        let threshold = (0 &- bound) % bound
        while true {
            let product = next().multipliedFullWidth(by: bound)
            if product.low >= threshold { return product.high }
        }
    }

    /// Shuffles in place (Fisher–Yates, from the end).
    public mutating func shuffle<Element>(_ values: inout [Element]) {
        guard values.count > 1 else { return }
        for last in stride(from: values.count - 1, to: 0, by: -1) {
            values.swapAt(last, Int(next(below: UInt64(last + 1))))
        }
    }

    private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// Spreads every bit over all others, one to one.
    static func scramble(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
