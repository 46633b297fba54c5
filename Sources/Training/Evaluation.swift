import Foundation
import Autograd
public import Datasets
public import Models
public import TensorCore

/// The loss of a model on data that it is not trained on.
public struct Evaluation: Sendable, Equatable {
    /// Mean loss over supervised tokens, natural logarithm.
    public let loss: Double
    /// Tokens that count in the loss, and all tokens.
    public let supervisedTokens, tokens: Int

    /// `e^loss`: among how many equally likely tokens the model seems to choose.
    public var perplexity: Double { Foundation.exp(loss) }

    /// Evaluates every example once, in order.
    /// - Parameter batchTokens: tokens per forward pass; changes memory and time only.
    public init(
        of model: any CausalLanguageModel, on dataset: EncodedDataset, batchTokens: Int = 2048, compute: Compute
    ) throws(TrainingError) {
        let plan = BatchPlan(
            lengths: dataset.lengths, options: BatchOptions(size: .tokens(batchTokens), packing: false, shuffle: false),
            epoch: 0)
        var (sum, supervised, tokens) = (0.0, 0, 0)
        for index in 0..<plan.count {
            let batch = dataset.batch(of: plan[index])
            try batch.check(vocabulary: model.vocabularySize)
            let graph = Graph(compute: compute)
            let hidden = model.hiddenStates(batch.tokens, layout: batch.layout, cache: nil, recompute: false, in: graph)
            sum += model.loss(hidden, targets: batch.targets, in: graph).sum
            supervised += batch.supervisedCount
            tokens += batch.tokenCount
        }
        (loss, supervisedTokens, self.tokens) = (supervised > 0 ? sum / Double(supervised) : .nan, supervised, tokens)
    }

    /// Several evaluations as one, weighted by supervised tokens.
    public init(combining parts: [Evaluation]) {
        supervisedTokens = parts.reduce(0) { $0 + $1.supervisedTokens }
        tokens = parts.reduce(0) { $0 + $1.tokens }
        let sum = parts.filter { $0.supervisedTokens > 0 }.reduce(0.0) { $0 + $1.loss * Double($1.supervisedTokens) }
        loss = supervisedTokens > 0 ? sum / Double(supervisedTokens) : .nan
    }
}
