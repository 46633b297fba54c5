import Datasets

extension TrainingState {
    /// Counts beyond this would overflow somewhere; at a million tokens a second they take 285 years.
    private static let countLimit = 1 << 53

    /// Why the state cannot be one that a run has written, if it cannot: whoever changes a checkpoint can give it a
    /// checksum that fits.
    var problem: String? {
        let counts = [
            step, tokens, supervisedTokens, evaluationsSinceBest, cursor.epoch, cursor.nextBatch, bestStep ?? 0,
        ]
        guard (counts + (sourceTokens ?? []) + (experts?.tokens.joined().map { $0 } ?? []))
            .allSatisfy({ (0...Self.countLimit).contains($0) })
        else { return "a count is negative or impossibly large" }
        if let best = bestStep, best > step { return "its best step \(best) comes after its step \(step)" }
        if let experts, experts.layers.count != experts.tokens.count {
            return "it counts experts of other layers than it names"
        }
        return nil
    }
}
