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
        /// The loss that spreads tokens over experts, without its coefficient; `nil` where it is off.
        public var auxiliaryLoss: Double?
        /// Tokens of each expert; empty in a model without experts.
        public var experts = ExpertUsage()
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
    /// Factor of the loss that spreads tokens over experts; 0 = off.
    public var auxiliaryLossCoefficient = 0.0
    /// Whether blocks that are computed again keep what attention over long sequences gave. Changes no bit.
    public var keepsLongAttention = false
    /// Most tokens of a micro-batch that go through the model at once; larger ones are cut between sequences. `nil` cuts
    /// none.
    public var splitTokens: Int?
    /// Steps that were left out; they have a number, a learning rate and random numbers like all others.
    public internal(set) var skippedSteps = 0
    /// Measures the operations of the steps, if set.
    public var timer: OperationTimer?
    let compute: Compute
    private let gradients = Gradients()

    /// Makes a trainer; the optimiser decides what is trained.
    public init(
        model: any CausalLanguageModel, optimizer: AdamW, schedule: LearningRateSchedule, maxGradientNorm: Double = 1,
        recompute: Bool = false, seed: UInt64 = 42, on compute: Compute
    ) {
        (self.model, self.optimizer, self.schedule) = (model, optimizer, schedule)
        (self.maxGradientNorm, self.recompute, self.seed, self.compute) = (maxGradientNorm, recompute, seed, compute)
    }

    /// Steps so far, taken or left out.
    public var stepsDone: Int { optimizer.step + skippedSteps }

    /// Trains on the micro-batches of one step. Losses are summed and gradients divided once, by the supervised tokens of
    /// all of them: how tokens fall into micro-batches does not change the mathematics.
    /// - Parameter beforeUpdate: called when gradients are complete and parameters are about to change.
    /// - Throws: ``TrainingError/nonFinite(_:lastCheckpoint:)``, and what `beforeUpdate` throws; then nothing was updated,
    ///   unless the problem is a parameter that the update itself has spoilt.
    public func step(_ window: [TokenBatch], beforeUpdate: () throws -> Void = {}) throws -> StepReport {
        let step = stepsDone + 1
        let batches = window.map { batch in splitTokens.map { batch.pieces(ofAtMost: $0) } ?? [batch] }
        gradients.removeAll()
        timer?.skip()
        var (sum, auxiliary) = (0.0, 0.0)
        let routing = RoutingLog()
        for pieces in batches {
            let balance = try loadBalance(of: pieces, step: step)
            for piece in pieces { sum += try forwardBackward(piece, step: step, routing, balance, gradients) }
            auxiliary += (balance?.loss ?? 0) * pieces.supervisedWeight
        }
        let weight = window.supervisedWeight
        let supervised = weight > 0 ? weight : 1
        let squares = compute.sumsOfSquares(optimizer.parameters.compactMap { gradients[$0] })
        let norm = squares.reduce(0, +).squareRoot() / supervised
        let loss = sum / supervised
        let clip = maxGradientNorm > 0 && norm > maxGradientNorm ? maxGradientNorm / (norm + 1e-6) : 1
        let scale = Float(clip / supervised)
        if !loss.isFinite || !norm.isFinite || !scale.isFinite || norm * clip > Self.largestGradient {
            gradients.removeAll()
            throw TrainingError.nonFinite(try diagnosis(of: batches.flatMap { $0 }, step: step, kind: loss.isFinite ? .gradient : .loss))
        }
        try beforeUpdate()
        let rate = schedule.rate(step: step)
        optimizer.update(with: gradients, scale: scale, learningRate: rate)
        timer?.lap("optimizer")
        if let (name, norm) = wildParameter(optimizer.squares) {
            throw TrainingError.nonFinite(
                NumericProblem(step: step, kind: .parameter(norm: norm), origin: name, records: window.flatMap(\.records)))
        }
        return StepReport(
            step: step, loss: loss, learningRate: rate, gradientNorm: norm, tokens: window.tokenCount,
            supervisedTokens: window.supervisedCount,
            auxiliaryLoss: auxiliaryLossCoefficient > 0 ? auxiliary / supervised : nil, experts: ExpertUsage(routing))
    }

    /// Leaves a step out: nothing changes but the number of the next one.
    public func skipStep() { skippedSteps += 1 }

    /// The loss over the experts of a micro-batch, if it is asked for. It is no sum over tokens: before the first piece can
    /// go back, the shares of all are needed, so pieces go forward once more.
    func loadBalance(of pieces: [TokenBatch], step: Int) throws(TrainingError) -> LoadBalance? {
        guard auxiliaryLossCoefficient > 0 else { return nil }
        let balance = LoadBalance(weight: Float(auxiliaryLossCoefficient * pieces.supervisedWeight))
        if pieces.count == 1 { return balance }
        for piece in pieces {
            let graph = try graph(of: piece, step: step)
            graph.loadBalance = balance
            _ = hiddenStates(of: piece, in: graph)
        }
        timer?.skip()
        return balance.counted()
    }

    /// A graph for a micro-batch, with the random numbers of its tokens.
    private func graph(of batch: TokenBatch, step: Int, _ gradients: Gradients? = nil) throws(TrainingError) -> Graph {
        try batch.check(vocabulary: model.vocabularySize)
        let graph = Graph(compute: compute, gradients: gradients)
        graph.dropout = DropoutContext(seed: seed, step: UInt64(step), firstToken: batch.streamOffset)
        graph.keepsLongAttention = keepsLongAttention
        return graph
    }

    private func hiddenStates(of batch: TokenBatch, in graph: Graph) -> Variable {
        model.hiddenStates(batch.tokens, layout: batch.layout, cache: nil, recompute: recompute, in: graph)
    }

    /// Summed loss of a micro-batch; its gradients are added to `gradients`.
    func forwardBackward(
        _ batch: TokenBatch, step: Int, _ routing: RoutingLog, _ balance: LoadBalance?, _ gradients: Gradients,
        check: FiniteCheck? = nil
    ) throws(TrainingError) -> Double {
        let graph = try graph(of: batch, step: step, gradients)
        (graph.timer, graph.check) = (check == nil ? timer : nil, check)
        (graph.routingLog, graph.loadBalance) = (routing, balance)
        let (loss, sum) = model.loss(hiddenStates(of: batch, in: graph), targets: batch.targets, weights: batch.weights, in: graph)
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
