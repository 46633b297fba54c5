public import Autograd
public import Datasets
import Layers
public import Models
public import TensorCore

/// One optimiser step after another on a model with trainable parameters; everything but data and files.
public final class Trainer {
    /// What one step did.
    public struct StepReport: Sendable, Equatable {
        /// Counted from 1.
        public let step: Int
        /// Mean loss over the supervised tokens of the step, before the update.
        public let loss: Double
        /// Rate of the update.
        public let learningRate: Double
        /// Norm of the mean gradient, before clipping.
        public let gradientNorm: Double
        /// Tokens that went through the model, and those that were trained.
        public let tokens, supervisedTokens: Int
    }

    /// The model.
    public let model: any CausalLanguageModel
    /// The optimiser and its state.
    public internal(set) var optimizer: AdamW
    /// The learning rate of every step.
    public let schedule: LearningRateSchedule
    /// Largest norm of the mean gradient; 0 = no clipping.
    public let maxGradientNorm: Double
    /// Whether blocks are computed again in the backward pass.
    public let recompute: Bool
    /// Seed of dropout.
    public let seed: UInt64
    /// Measures the operations of the steps, if set.
    public var timer: OperationTimer?
    private let compute: Compute
    private let gradients = Gradients()

    /// Makes a trainer; the optimiser decides what is trained.
    public init(
        model: any CausalLanguageModel, optimizer: AdamW, schedule: LearningRateSchedule, maxGradientNorm: Double = 1,
        recompute: Bool = false, seed: UInt64 = 42, on compute: Compute
    ) {
        (self.model, self.optimizer, self.schedule) = (model, optimizer, schedule)
        (self.maxGradientNorm, self.recompute, self.seed, self.compute) = (maxGradientNorm, recompute, seed, compute)
    }

    /// Trains on the micro-batches of one step. Losses are summed and gradients divided once, by the supervised tokens of
    /// all of them: how tokens fall into micro-batches does not change the mathematics.
    /// - Throws: ``TrainingError/nonFinite(step:what:)``; then nothing was updated.
    public func step(_ window: [TokenBatch]) throws(TrainingError) -> StepReport {
        let step = optimizer.step + 1
        gradients.removeAll()
        timer?.skip()
        var sum = 0.0
        for batch in window { sum += try forwardBackward(batch, step: step) }
        let supervised = max(1, window.supervisedCount)
        let norm = optimizer.parameters.reduce(0.0) { $0 + (gradients[$1].map(compute.sumOfSquares) ?? 0) }.squareRoot()
            / Double(supervised)
        let loss = sum / Double(supervised)
        if !loss.isFinite { throw .nonFinite(step: step, what: "the loss") }
        if !norm.isFinite { throw .nonFinite(step: step, what: "the gradient") }
        let clip = maxGradientNorm > 0 && norm > maxGradientNorm ? maxGradientNorm / (norm + 1e-6) : 1
        let rate = schedule.rate(step: step)
        optimizer.update(with: gradients, scale: Float(clip / Double(supervised)), learningRate: rate)
        timer?.lap("optimizer")
        return StepReport(
            step: step, loss: loss, learningRate: rate, gradientNorm: norm, tokens: window.tokenCount,
            supervisedTokens: window.supervisedCount)
    }

    /// Summed loss of a micro-batch; its gradients are added to the sums of the step.
    private func forwardBackward(_ batch: TokenBatch, step: Int) throws(TrainingError) -> Double {
        try batch.check(vocabulary: model.vocabularySize)
        let graph = Graph(compute: compute, gradients: gradients)
        graph.dropout = DropoutContext(seed: seed, step: UInt64(step), firstToken: batch.streamOffset)
        graph.timer = timer
        let hidden = model.hiddenStates(batch.tokens, layout: batch.layout, cache: nil, recompute: recompute, in: graph)
        let (loss, sum) = model.loss(hidden, targets: batch.targets, in: graph)
        graph.backward(from: loss)
        return sum
    }
}

extension TokenBatch {
    /// How the batch falls into sequences.
    public var layout: SequenceLayout { SequenceLayout(offsets: sequenceOffsets.map(Int.init)) }

    /// Refuses ids that the model has no embedding for.
    func check(vocabulary: Int) throws(TrainingError) {
        for token in tokens where token < 0 || Int(token) >= vocabulary {
            throw .tokenOutsideVocabulary(token: Int(token), vocabulary: vocabulary)
        }
        for target in targets where Int(target) >= vocabulary {
            throw .tokenOutsideVocabulary(token: Int(target), vocabulary: vocabulary)
        }
    }
}
