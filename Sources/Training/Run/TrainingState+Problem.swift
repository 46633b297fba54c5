import Datasets

extension TrainingState {
    /// Counts beyond this would overflow somewhere; at a million tokens a second they take 285 years.
    private static let countLimit = 1 << 53

    /// Why the state cannot be one that a run has written, if it cannot: whoever changes a checkpoint can give it a
    /// checksum that fits.
    var problem: String? {
        let counts = [
            step, skippedSteps, skipsInARow, rollbacks, tokens, supervisedTokens, evaluationsSinceBest, cursor.epoch,
            cursor.nextBatch, bestStep ?? 0,
        ]
        guard (counts + passedOver + (sourceTokens ?? []) + (experts?.tokens.joined().map { $0 } ?? []))
            .allSatisfy({ (0...Self.countLimit).contains($0) })
        else { return "a count is negative or impossibly large" }
        if let best = bestStep, best > step { return "its best step \(best) comes after its step \(step)" }
        if skippedSteps > step || skipsInARow > skippedSteps {
            return "of \(step) steps it counts \(skippedSteps) as left out, \(skipsInARow) of them in a row"
        }
        let routed = experts?.tokens.joined().reduce(0.0) { $0 + Double($1) } ?? 0
        if routed > Double(Self.countLimit) { return "its experts got impossibly many tokens" }
        if let experts, experts.layers.count != experts.tokens.count {
            return "it counts experts of other layers than it names"
        }
        return nil
    }
}
