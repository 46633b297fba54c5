import Autograd
import Checkpoints
public import Datasets
import Foundation
public import Layers
import Models
public import TensorCore

/// A whole run: the loop around ``Trainer`` that evaluates, checkpoints and logs.
public final class TrainingRun {
    /// How often things happen.
    public struct Settings: Sendable, Equatable {
        /// Optimiser steps of the whole run.
        public var totalSteps: Int
        /// Steps between checkpoints, and how many to keep beside the best.
        public var checkpointEverySteps: Int, keep: Int
        /// Steps between evaluations; 0 = at the end of each epoch.
        public var evaluateEverySteps: Int
        /// Whether to evaluate before the first step.
        public var evaluateAtStart: Bool
        /// Evaluations without improvement that end the run; 0 = never.
        public var earlyStopping: Int
        /// Steps between lines of the log.
        public var logEverySteps: Int
        /// What happens when numbers have gone bad.
        public var onNaN: NaNPolicy
        /// Tokens of a forward pass of an evaluation: memory and time only.
        public var evaluationTokens: Int
        /// What the adapter's configuration calls the base model.
        public var baseModel: String
        /// What the adapter's file says about itself.
        public var adapterMetadata: [String: String]

        /// Lists the settings.
        public init(
            totalSteps: Int, checkpointEverySteps: Int = 100, keep: Int = 3, evaluateEverySteps: Int = 0,
            evaluateAtStart: Bool = true, earlyStopping: Int = 0, logEverySteps: Int = 1, onNaN: NaNPolicy = .stop,
            evaluationTokens: Int = 2048, baseModel: String = "", adapterMetadata: [String: String] = [:]
        ) {
            (self.totalSteps, self.checkpointEverySteps, self.keep) = (totalSteps, checkpointEverySteps, keep)
            (self.evaluateEverySteps, self.evaluateAtStart) = (evaluateEverySteps, evaluateAtStart)
            (self.earlyStopping, self.logEverySteps) = (earlyStopping, logEverySteps)
            (self.onNaN, self.evaluationTokens) = (onNaN, evaluationTokens)
            (self.baseModel, self.adapterMetadata) = (baseModel, adapterMetadata)
        }
    }

    /// Step, tokens, losses and so on, as far as the run has come.
    public internal(set) var state: TrainingState
    let trainer: Trainer
    private let adapter: LoRAAdapter
    var stream: BatchStream
    private let validation: [EncodedDataset]
    let settings: Settings
    let folder: RunFolder
    let compute: Compute
    var log: MetricsLog?
    /// The checkpoint that the state has come from.
    var origin: URL?
    /// The checkpoint that is being written.
    private var pendingSave: BackgroundSave?
    /// Whether it was said that `latest` and `best` cannot be made.
    private var saidLinks = false

    /// Puts a run together; `resuming` takes up where a checkpoint stopped.
    /// - Parameters:
    ///   - adapter: attached to the trainer's model; with `resuming`, it holds the checkpoint's factors already.
    ///   - stream: at the beginning, or at the checkpoint's cursor.
    public init(
        trainer: Trainer, adapter: LoRAAdapter, stream: BatchStream, validation: [EncodedDataset], settings: Settings,
        folder: RunFolder, identity: RunIdentity, resuming checkpoint: TrainingCheckpoint? = nil, on compute: Compute
    ) throws(TrainingError) {
        (self.trainer, self.adapter, self.stream, self.validation) = (trainer, adapter, stream, validation)
        (self.settings, self.folder, self.compute) = (settings, folder, compute)
        state = TrainingState(identity: identity)
        if let checkpoint {
            (state, origin) = (checkpoint.state, checkpoint.folder)
            state.identity = identity
            try checkpoint.restoreMoments(trainer, on: compute)
        }
    }

    /// Trains to the end.
    /// - Parameters:
    ///   - shouldStop: asked after every step; `true` ends the run with a checkpoint.
    ///   - wantsCheckpoint: asked after every step; `true` writes a checkpoint and goes on.
    ///   - report: is told what happens.
    public func run(
        shouldStop: () -> Bool, wantsCheckpoint: () -> Bool = { false }, report: (TrainingEvent) throws -> Void
    ) throws -> TrainingOutcome {
        // Whatever ends the run, a checkpoint that has been begun is finished.
        defer { try? pendingSave?.finish() }
        folder.removeCheckpoints(after: state.step)
        log = try MetricsLog(folder.metrics, resumingAt: state.step, fromStart: state.step == 0)
        if state.step < settings.totalSteps && !isStoppedEarly { state.isFinished = false }
        if state.step == 0 && settings.evaluateAtStart { _ = try evaluate(report) }
        if settings.onNaN == .rollback && folder.checkpointCount == 0 {
            try save(report)
            try finishSave(report)
        }
        while state.step < settings.totalSteps, !isStoppedEarly, let window = try stream.nextWindow() {
            let (epoch, step) = (state.cursor.epoch, state.step)
            try takeStep(window, report)
            // After a rollback, nothing is due.
            if state.step <= step { continue }
            let isLast = state.step >= settings.totalSteps
            let isDue = settings.evaluateEverySteps > 0
                ? state.step % settings.evaluateEverySteps == 0 : stream.cursor.epoch > epoch
            let isBest = isDue || isLast ? try evaluate(report) : false
            let stops = shouldStop() && !isLast
            let saves = settings.checkpointEverySteps > 0 && state.step % settings.checkpointEverySteps == 0
            // The last step is saved below, as finished.
            if (saves || isBest || stops || wantsCheckpoint()) && !isLast { try save(report) }
            if stops {
                try finishSave(report)
                return .stopped
            }
        }
        if !state.isFinished { try logSources() }
        state.isFinished = true
        try save(report)
        try finishSave(report)
        return .finished
    }

    /// Whether the run has ended before its last step because validation brought no improvement.
    public var hasStoppedEarly: Bool { state.isFinished && isStoppedEarly && state.step < settings.totalSteps }

    private var isStoppedEarly: Bool {
        settings.earlyStopping > 0 && state.evaluationsSinceBest >= settings.earlyStopping
    }

    /// Takes the next step, or does what the policy says if its numbers have gone bad.
    private func takeStep(_ window: [TokenBatch], _ report: (TrainingEvent) throws -> Void) throws {
        if state.passedOver.contains(state.step + 1) { return try leaveOut("passed over after a rollback") }
        let start = ContinuousClock.now
        let result: Trainer.StepReport
        do { result = try trainer.step(window) { try finishSave(report) } } catch TrainingError.nonFinite(let problem, _) {
            return try answer(problem, report)
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        (state.step, state.skipsInARow) = (result.step, 0)
        state.tokens += result.tokens
        let earlier = state.sourceTokens ?? stream.windowTokens.map { _ in 0 }
        state.sourceTokens = zip(earlier, stream.windowTokens).map { $0 + $1 }
        state.supervisedTokens += result.supervisedTokens
        state.cursor = stream.cursor
        state.loss = result.loss
        try count(result.experts)
        let speed = Double(result.tokens) / seconds
        if state.step % settings.logEverySteps == 0 || state.step == settings.totalSteps {
            var values = [
                "loss": result.loss, "learning_rate": result.learningRate, "grad_norm": result.gradientNorm,
                "tokens_per_second": speed,
            ]
            values["aux_loss"] = result.auxiliaryLoss
            try log?.append(
                values,
                integers: [
                    "step": result.step, "tokens": state.tokens, "supervised_tokens": result.supervisedTokens,
                    "epoch": state.cursor.epoch,
                ], experts: result.experts)
        }
        try report(.step(result, tokensPerSecond: speed, totalSteps: settings.totalSteps))
    }

    /// Adds up how tokens fell on experts. What a checkpoint has counted may be of another model: its checksum would fit.
    private func count(_ experts: ExpertUsage) throws(TrainingError) {
        if let origin, let earlier = state.experts, !earlier.isEmpty, !earlier.hasSameExperts(as: experts) {
            throw TrainingCheckpoint.damage(to: origin, "state.json counts tokens of other experts than the model has")
        }
        if experts.isEmpty { return }
        var total = state.experts ?? ExpertUsage()
        total.add(experts)
        state.experts = total
    }

    /// Evaluates, if there are validation data, and says whether the loss is the lowest so far.
    private func evaluate(_ report: (TrainingEvent) throws -> Void) throws -> Bool {
        if validation.isEmpty { return false }
        let parts = try validation.map {
            try Evaluation(of: trainer.model, on: $0, batchTokens: settings.evaluationTokens, compute: compute)
        }
        let loss = Evaluation(combining: parts).loss
        let bySource = zip(validation, parts).map { (source: $0.sources.first ?? "", loss: $1.loss) }
        let isBest = state.step > 0 && loss < state.bestLoss ?? .infinity
        (state.validationLoss, state.validationLosses) = (loss.ifFinite, parts.map(\.loss.ifFinite))
        if state.step == 0 { state.startLoss = loss.ifFinite }
        if isBest {
            (state.bestLoss, state.bestStep, state.evaluationsSinceBest) = (loss, state.step, 0)
        } else if state.step > 0 {
            state.evaluationsSinceBest += 1
        }
        let names = PublishedNames(bySource.map(\.source))
        let table = Dictionary(bySource.map { (names[$0.source], $0.loss) }) { first, _ in first }
        try log?.append(
            ["validation_loss": loss], integers: ["step": state.step],
            tables: bySource.count > 1 ? ["validation_losses": table] : [:])
        try report(.evaluation(step: state.step, loss: loss, bySource: bySource, isBest: isBest))
        if !loss.isFinite { try report(.note(warning(of: bySource.filter { !$0.loss.isFinite }.map(\.source)))) }
        return isBest
    }

    /// What a validation loss that is no number means. Training may be all right: its guard looks at its own numbers.
    private func warning(of sources: [String]) -> String {
        let place = sources.isEmpty ? "" : " on \(sources.joined(separator: ", "))"
        return "the validation loss after step \(state.step) is NaN or infinite\(place): it counts as no improvement; look at these data, or at the base model's weights for their tokens"
    }

    /// The last line of a run on several sources: how many tokens of each went through the model, and their shares.
    private func logSources() throws {
        guard let tokens = state.sourceTokens, tokens.count > 1, state.tokens > 0 else { return }
        let names = PublishedNames(stream.sources)
        let table = Dictionary(zip(stream.sources.map { names[$0] }, tokens.map(Double.init)), uniquingKeysWith: +)
        try log?.append(
            [:], integers: ["step": state.step],
            tables: ["source_tokens": table, "source_shares": table.mapValues { $0 / Double(state.tokens) }])
    }

    /// Begins to write a checkpoint; training goes on until parameters are about to change.
    private func save(_ report: (TrainingEvent) throws -> Void) throws {
        try finishSave(report)
        try folder.requireSpace(TrainingCheckpoint.byteCount(of: trainer.optimizer.parameters), for: .checkpoint)
        let (state, adapter, settings, place) = (state, adapter, settings, folder.checkpoint(step: state.step))
        let optimizer = trainer.optimizer
        pendingSave = BackgroundSave(step: state.step) {
            AtomicDirectory.recover(beside: place)
            try TrainingCheckpoint.write(
                state, adapter: adapter, optimizer: optimizer, baseModel: settings.baseModel,
                metadata: settings.adapterMetadata, to: place)
        }
    }

    /// Waits for the checkpoint that is being written, if one is, and lets the oldest go.
    func finishSave(_ report: (TrainingEvent) throws -> Void) throws {
        guard let save = pendingSave else { return }
        pendingSave = nil
        try save.finish()
        if let problem = try folder.rotate(latest: save.step, best: state.bestStep, keep: settings.keep), !saidLinks {
            saidLinks = true
            try report(.note("\(problem); the run goes on without the links latest and best, and its checkpoints are told by their steps"))
        }
        try report(.checkpoint(step: save.step, path: folder.checkpoint(step: save.step).path))
    }
}

extension Double {
    /// The number, unless it is NaN or infinite.
    fileprivate var ifFinite: Double? { isFinite ? self : nil }
}
