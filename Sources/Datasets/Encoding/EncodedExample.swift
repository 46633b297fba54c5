/// One example as the model sees it: token ids, and for each what is trained on it.
public struct EncodedExample: Sendable, Equatable {
    /// Token ids, shape [tokens].
    public let ids: [Int32]
    /// Aligned with `ids`: the token itself where it is trained, −100 where not; shape [tokens]. The first is always
    /// −100, since nothing stands before it that could predict it.
    public let labels: [Int32]
    /// Aligned with `ids`: how much each trained token counts in the loss; `nil` where each counts 1; shape [tokens].
    public let weights: [Float]?
    /// The line of its file where the record starts, counted from 1; 0 if it did not come from a file.
    public let line: Int

    /// An example from ids and labels of the same number.
    /// - Parameters:
    ///   - ids: Token ids.
    ///   - labels: Aligned with `ids`, −100 = not trained; `nil` trains everything.
    ///   - weights: Aligned with `ids`, above 0 where trained; `nil` counts each trained token as 1.
    ///   - line: Where the record starts in its file, from 1.
    public init(ids: [Int32], labels: [Int32]? = nil, weights: [Float]? = nil, line: Int = 0) {
        var labels = labels ?? ids
        precondition(labels.count == ids.count, "\(ids.count) ids have \(labels.count) labels")
        if !labels.isEmpty { labels[0] = TokenBatch.ignoredLabel }
        self.ids = ids
        self.labels = labels
        precondition(weights == nil || weights?.count == ids.count, "\(ids.count) ids have other than as many weights")
        self.weights = weights
        self.line = line
    }

    /// How many tokens are trained.
    public var supervisedCount: Int { labels.reduce(0) { $0 + ($1 == TokenBatch.ignoredLabel ? 0 : 1) } }
}
