/// How a flat run of tokens falls into sequences: no padding, and attention never crosses from one to the next.
public struct SequenceLayout: Sendable, Equatable {
    /// First token of every sequence, then the number of tokens: `[0, 5, 12]` is two sequences.
    public let offsets: [Int]
    /// Tokens of the (only) sequence that came before and whose keys and values are cached; 0 in training.
    public let prefix: Int

    /// Sequences laid one after another.
    public init(offsets: [Int]) {
        precondition(offsets.first == 0 && zip(offsets, offsets.dropFirst()).allSatisfy(<), "bad offsets \(offsets)")
        self.offsets = offsets
        prefix = 0
    }

    /// One sequence of `count` tokens that continues `prefix` cached ones.
    public init(count: Int, after prefix: Int = 0) {
        offsets = [0, count]
        self.prefix = prefix
    }

    /// Number of tokens.
    public var tokenCount: Int { offsets[offsets.count - 1] }
    /// Tokens of the longest sequence, with those that came before.
    public var longest: Int { prefix + (zip(offsets, offsets.dropFirst()).map { $1 - $0 }.max() ?? 0) }
    /// Number of sequences.
    public var sequenceCount: Int { offsets.count - 1 }
    /// Position of every token in its sequence.
    public var positions: [Int32] {
        zip(offsets, offsets.dropFirst()).flatMap { (prefix + $0.0..<prefix + $0.1).map { [start = $0.0] in Int32($0 - start) } }
    }
}
