/// A record as tokens, before `max_length` is applied.
struct LabelledTokens: Equatable {
    /// Token ids.
    var ids: [Int32]
    /// Aligned with `ids`, −100 where nothing is trained.
    var labels: [Int32]
    /// Aligned with `ids`, or empty where each trained token counts 1.
    var weights: [Float] = []
    /// The tokens of every trained turn, in order; empty where a record has no turns.
    var turns: [Range<Int>] = []
    /// What is to be said of the record.
    var remarks: Set<RecordRemark> = []
}

/// What truncation took from an example.
public enum TruncationLoss: Sendable, Equatable {
    /// Nothing that would have been trained.
    case nothingTrained
    /// So many whole trained turns at the end.
    case turns(Int)
    /// Trained tokens up to the end of the record or of its only fitting turn, so that no end is learnt from it.
    case end
}

extension LabelledTokens {
    /// The first tokens as an example.
    func example(upTo end: Int, line: Int) -> EncodedExample {
        EncodedExample(
            ids: Array(ids.prefix(end)), labels: Array(labels.prefix(end)),
            weights: weights.isEmpty ? nil : Array(weights.prefix(end)), line: line)
    }

    /// Counts some trained tokens otherwise than as 1.
    mutating func setWeight(_ weight: Float, of positions: [Int]) {
        if weight == 1 { return }
        if weights.isEmpty { weights = [Float](repeating: 1, count: ids.count) }
        for position in positions { weights[position] = weight }
    }

    /// The first `limit` tokens, or fewer, so that no trained turn is cut in two.
    func truncated(to limit: Int, line: Int) -> (example: EncodedExample, loss: TruncationLoss) {
        let fitting = turns.prefix { $0.upperBound <= limit }
        let lost = turns.count - fitting.count
        let cutsTurn = lost > 0 && !fitting.isEmpty
        let end = cutsTurn ? fitting[fitting.count - 1].upperBound : limit
        let example = example(upTo: end, line: line)
        if cutsTurn { return (example, .turns(lost)) }
        let losesTrained = labels[end...].contains { $0 != TokenBatch.ignoredLabel }
        return (example, losesTrained ? .end : .nothingTrained)
    }
}
