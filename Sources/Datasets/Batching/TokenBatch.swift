/// One micro-batch: the tokens of one or more sequences laid end to end, without padding.
///
/// Sequences stay apart through `sequenceOffsets`: attention never crosses them, positions start again at 0 in each, and
/// no target reaches into the next one.
public struct TokenBatch: Sendable {
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
    /// Where each sequence comes from; shape [sequences].
    public let records: [RecordPlace]

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
            builder.append(
                ids: example.ids[...], labels: example.labels[...], weights: example.weights?[...],
                record: RecordPlace(line: example.line))
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
        records = builder.records
        supervisedWeight = builder.weights.isEmpty
            ? Double(builder.supervisedCount)
            : zip(targets, builder.weights).reduce(0) { $1.0 == Self.ignoredLabel ? $0 : $0 + Double($1.1) }
        self.streamOffset = streamOffset
    }

    /// The same sequences in batches of at most `limit` tokens each, in order; a sequence that is longer stands alone.
    /// Sums of losses and gradients over them are those of the whole batch.
    public func pieces(ofAtMost limit: Int) -> [TokenBatch] {
        if tokenCount <= limit || sequenceCount < 2 { return [self] }
        var pieces: [TokenBatch] = []
        var start = 0
        for end in 1...sequenceCount {
            let isFull = end < sequenceCount && Int(sequenceOffsets[end + 1] - sequenceOffsets[start]) > limit
            guard isFull || end == sequenceCount else { continue }
            pieces.append(piece(start..<end))
            start = end
        }
        return pieces
    }

    /// Each sequence as a batch of its own.
    public var sequences: [TokenBatch] { (0..<sequenceCount).map { piece($0..<$0 + 1) } }

    /// Some neighbouring sequences.
    private func piece(_ chosen: Range<Int>) -> TokenBatch {
        let first = Int(sequenceOffsets[chosen.lowerBound])
        var builder = TokenBatchBuilder(capacity: Int(sequenceOffsets[chosen.upperBound]) - first)
        for sequence in chosen {
            let range = Int(sequenceOffsets[sequence])..<Int(sequenceOffsets[sequence + 1])
            // The label of a token is the target of the one before it.
            let labels = range.isEmpty ? [] : [Self.ignoredLabel] + targets[range].dropLast()
            let weights = weights.map { range.isEmpty ? [] : [0] + $0[range].dropLast() }
            builder.append(ids: tokens[range], labels: labels[...], weights: weights?[...], record: records[sequence])
        }
        return TokenBatch(builder, streamOffset: streamOffset + first)
    }
}

extension TokenBatch: Equatable {
    /// Batches are equal when training on them is the same; where their records stand does not count.
    public static func == (a: TokenBatch, b: TokenBatch) -> Bool {
        a.tokens == b.tokens && a.targets == b.targets && a.weights == b.weights && a.positions == b.positions
            && a.sequenceOffsets == b.sequenceOffsets && a.streamOffset == b.streamOffset
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
    package private(set) var records: [RecordPlace] = []

    package init(capacity: Int) {
        tokens.reserveCapacity(capacity)
        targets.reserveCapacity(capacity)
        positions.reserveCapacity(capacity)
    }

    package mutating func append(
        ids: ArraySlice<Int32>, labels: ArraySlice<Int32>, weights: ArraySlice<Float>? = nil,
        record: RecordPlace = RecordPlace()
    ) {
        precondition(ids.count == labels.count, "a sequence of \(ids.count) ids has \(labels.count) labels")
        tokens.append(contentsOf: ids)
        if weights != nil || !self.weights.isEmpty { append(weights, through: tokens.count) }
        let shifted = labels.dropFirst()
        targets.append(contentsOf: shifted)
        if !ids.isEmpty { targets.append(TokenBatch.ignoredLabel) }
        positions.append(contentsOf: 0..<Int32(ids.count))
        sequenceOffsets.append(Int32(tokens.count))
        records.append(record)
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
