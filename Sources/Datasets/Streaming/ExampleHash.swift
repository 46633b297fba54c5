/// A hash of 128 bits of the contents of an example, by which equal examples are found without keeping them: that two of
/// a billion different ones agree has a chance of 10⁻²⁰. It is no protection against somebody who looks for two.
public struct ExampleHash: Sendable, Hashable, BitwiseCopyable {
    private(set) var low: UInt64
    private(set) var high: UInt64

    /// What is compared.
    public enum Contents: Int, Sendable {
        /// The ids alone.
        case ids
        /// Ids, and what is trained of them with what weight.
        case all
    }

    /// Hashes an example.
    public init(_ example: EncodedExample, _ contents: Contents) {
        var hash = WordHash()
        example.ids.withUnsafeBufferPointer { hash.add($0) }
        if contents == .all {
            example.labels.withUnsafeBufferPointer { hash.add($0) }
            example.weights?.map { Int32(bitPattern: $0.bitPattern) }.withUnsafeBufferPointer { hash.add($0) }
        }
        (low, high) = hash.value
    }
}

/// Two sums of 32-bit words, each multiplied and folded after every word, and scrambled at the end.
struct WordHash {
    private var low: UInt64 = 0x243F_6A88_85A3_08D3
    private var high: UInt64 = 0x1319_8A2E_0370_7344
    private var count: UInt64 = 0

    mutating func add<Word: FixedWidthInteger>(_ words: UnsafeBufferPointer<Word>) {
        precondition(Word.bitWidth == 32, "words of \(Word.bitWidth) bits")
        var (a, b) = (low, high)
        for word in words {
            let word = UInt64(truncatingIfNeeded: word) & 0xFFFF_FFFF
            a = (a ^ word) &* 0x9E37_79B9_7F4A_7C15
            a ^= a >> 29
            b = (b &+ word) &* 0xBF58_476D_1CE4_E5B9
            b ^= b >> 32
        }
        (low, high) = (a, b)
        count += UInt64(words.count)
        // So that the same words are not the same however they are parted.
        low ^= count &* 0x94D0_49BB_1331_11EB
    }

    var value: (low: UInt64, high: UInt64) {
        (SplitMix64.scramble(low ^ (high << 32 | high >> 32)), SplitMix64.scramble(high &+ count))
    }

    /// 32 bits of the value, as a checksum.
    static func checksum(_ words: UnsafeBufferPointer<UInt32>) -> UInt32 {
        var hash = WordHash()
        hash.add(words)
        return UInt32(truncatingIfNeeded: hash.value.low)
    }
}
