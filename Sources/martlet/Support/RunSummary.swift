import Foundation
import Recipes
import TensorCore
import Tokenization
import Training

/// The last line of standard output of a training run.
struct RunSummary {
    private let object: JSONObject

    /// - Parameters:
    ///   - results: The forms in which the result was written; none while the run is not finished.
    ///   - sources: The training sources, where the data are at hand.
    ///   - stoppedEarly: Whether early stopping ended it; `nil` where only the checkpoint is known.
    init(
        _ state: TrainingState, run: RunFolder, results: [Recipe.Output.Form], sources: [String] = [], speed: Double? = nil,
        plannedMemory: Int? = nil, stoppedEarly: Bool? = nil
    ) {
        let shares = zip(sources, state.sourceTokens ?? []).map { source, tokens -> JSONValue in
            ["path": .string(source), "tokens": .integer(tokens), "share": .finite(Double(tokens) / Double(state.tokens))]
        }
        func place(_ form: Recipe.Output.Form) -> JSONValue {
            results.contains(form) ? .string(form.place(in: run).relativePath) : .null
        }
        object = [
            "run": .string(run.url.relativePath), "steps": .integer(state.step), "loss": .finite(state.loss),
            "validation_loss": .finite(state.validationLoss), "best_validation_loss": .finite(state.bestLoss),
            "start_validation_loss": .finite(state.startLoss),
            "best_step": state.bestStep.map { .integer($0) } ?? .null,
            "best_checkpoint": state.bestStep.map { .string(run.bestCheckpoint(step: $0).relativePath) } ?? .null,
            "tokens_per_second": .finite(speed),
            "peak_memory_bytes": ProcessMemory.peak.map { .integer($0) } ?? .null,
            "planned_memory_bytes": plannedMemory.map { .integer($0) } ?? .null, "adapter": place(.adapter), "merged": place(.merged),
            "finished": .bool(state.isFinished), "stopped_early": stoppedEarly.map { .bool($0) } ?? .null,
            "sources": .array(shares), "skipped_steps": .integer(state.skippedSteps), "rollbacks": .integer(state.rollbacks),
        ]
    }

    /// Writes it for whoever reads it. That nobody does is no failure: the run is on the disk.
    func print() { Terminal.output(object, isOptional: true) }
}
