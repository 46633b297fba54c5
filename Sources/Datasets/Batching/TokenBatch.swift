/// One micro-batch: the tokens of one or more sequences laid end to end, without padding.
///
/// Sequences stay apart through `sequenceOffsets`: attention never crosses them, positions start again at 0 in each, and
/// no target reaches into the next one.
public struct TokenBatch: Sendable, Equatable {
    /// The label that means "not trained".
    public static let ignoredLabel: Int32 = -100

    /// Token ids, shape [tokens].
    public let tokens: [Int32]
    /// For every token the label of the *next* token of the same sequence, −100 where there is none to learn;
    /// shape [tokens]. The shift by one is done here and nowhere else.
    public let targets: [Int32]
    /// For every target how much it counts in the loss; `nil` where each trained one counts 1; shape [tokens].
    public let weights: [Float]?
    /// Position of every token within its sequence, from 0; shape [tokens].
    public let positions: [Int32]
    /// Where each sequence starts in `tokens`, and at last the number of tokens; shape [sequences + 1].
    public let sequenceOffsets: [Int32]
    /// How many targets are trained.
    public let supervisedCount: Int
    /// How much they count together: their number, or the sum of their weights.
    public let supervisedWeight: Double
    /// Number of tokens of the same optimiser step in earlier micro-batches: the counter from which dropout draws, so
    /// that the cut into micro-batches does not change it.
    public let streamOffset: Int

    /// How many tokens the batch holds.
    public var tokenCount: Int { tokens.count }
    /// How many sequences the batch holds.
    public var sequenceCount: Int { sequenceOffsets.count - 1 }

    /// Lays encoded examples end to end.
    /// - Parameters:
    ///   - examples: The sequences in order; their labels are aligned with their ids.
    ///   - streamOffset: Tokens of the same optimiser step in earlier micro-batches.
    public init(_ examples: [EncodedExample], streamOffset: Int = 0) {
        var builder = TokenBatchBuilder(capacity: examples.reduce(0) { $0 + $1.ids.count })
        for example in examples {
            builder.append(ids: example.ids[...], labels: example.labels[...], weights: example.weights?[...])
        }
        self.init(builder, streamOffset: streamOffset)
    }

    package init(_ builder: TokenBatchBuilder, streamOffset: Int) {
        tokens = builder.tokens
        targets = builder.targets
        weights = builder.weights.isEmpty ? nil : builder.weights
        positions = builder.positions
        sequenceOffsets = builder.sequenceOffsets
        supervisedCount = builder.supervisedCount
        supervisedWeight = builder.weights.isEmpty
            ? Double(builder.supervisedCount)
            : zip(targets, builder.weights).reduce(0) { $1.0 == Self.ignoredLabel ? $0 : $0 + Double($1.1) }
        self.streamOffset = streamOffset
    }
}

/// Collects sequences into the flat arrays of a `TokenBatch`.
package struct TokenBatchBuilder {
    package private(set) var tokens: [Int32] = []
    package private(set) var targets: [Int32] = []
    /// Aligned with `targets`, or empty while no sequence has weights.
    package private(set) var weights: [Float] = []
    package private(set) var positions: [Int32] = []
    package private(set) var sequenceOffsets: [Int32] = [0]
    package private(set) var supervisedCount = 0

    package init(capacity: Int) {
        tokens.reserveCapacity(capacity)
        targets.reserveCapacity(capacity)
        positions.reserveCapacity(capacity)
    }

    package mutating func append(ids: ArraySlice<Int32>, labels: ArraySlice<Int32>, weights: ArraySlice<Float>? = nil) {
        precondition(ids.count == labels.count, "a sequence of \(ids.count) ids has \(labels.count) labels")
        tokens.append(contentsOf: ids)
        if weights != nil || !self.weights.isEmpty { append(weights, through: tokens.count) }
        let shifted = labels.dropFirst()
        targets.append(contentsOf: shifted)
        if !ids.isEmpty { targets.append(TokenBatch.ignoredLabel) }
        positions.append(contentsOf: 0..<Int32(ids.count))
        sequenceOffsets.append(Int32(tokens.count))
        for label in shifted where label != TokenBatch.ignoredLabel { supervisedCount += 1 }
    }
    /// Shifts weights as labels are; sequences without any count 1.
    private mutating func append(_ given: ArraySlice<Float>?, through end: Int) {
        let start = end - (given?.count ?? 0)
        weights.append(contentsOf: repeatElement(1, count: (given == nil ? end : start) - weights.count))
        guard let given, !given.isEmpty else { return }
        weights.append(contentsOf: given.dropFirst())
        weights.append(0)
    }
}
