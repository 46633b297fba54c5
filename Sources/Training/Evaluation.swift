import Foundation
import Autograd
public import Datasets
public import Models
public import TensorCore

/// The loss of a model on data that it is not trained on.
public struct Evaluation: Sendable, Equatable {
    /// Mean loss over supervised tokens by their weights, natural logarithm.
    public let loss: Double
    /// Tokens that count in the loss, and all tokens.
    public let supervisedTokens, tokens: Int
    /// How much these count together; their number where none has a weight of its own.
    public let supervisedWeight: Double

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
        var (sum, weight, supervised, tokens) = (0.0, 0.0, 0, 0)
        for index in 0..<plan.count {
            let batch = dataset.batch(of: plan[index])
            try batch.check(vocabulary: model.vocabularySize)
            let graph = Graph(compute: compute)
            let hidden = model.hiddenStates(batch.tokens, layout: batch.layout, cache: nil, recompute: false, in: graph)
            sum += model.loss(hidden, targets: batch.targets, weights: batch.weights, in: graph).sum
            weight += batch.supervisedWeight
            supervised += batch.supervisedCount
            tokens += batch.tokenCount
        }
        (loss, supervisedTokens, self.tokens) = (weight > 0 ? sum / weight : .nan, supervised, tokens)
        supervisedWeight = weight
    }

    /// Several evaluations as one, weighted by what their supervised tokens count.
    public init(combining parts: [Evaluation]) {
        supervisedTokens = parts.reduce(0) { $0 + $1.supervisedTokens }
        tokens = parts.reduce(0) { $0 + $1.tokens }
        supervisedWeight = parts.reduce(0) { $0 + $1.supervisedWeight }
        let sum = parts.filter { $0.supervisedWeight > 0 }.reduce(0.0) { $0 + $1.loss * $1.supervisedWeight }
        loss = supervisedWeight > 0 ? sum / supervisedWeight : .nan
    }
}
