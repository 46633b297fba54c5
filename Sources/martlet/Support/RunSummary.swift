import Foundation
import TensorCore
import Tokenization
import Training

/// The last line of standard output of a training run.
struct RunSummary {
    private let object: JSONObject

    /// - Parameters:
    ///   - adapter: Where the trained adapter is; `nil` while the run is not finished.
    ///   - sources: The training sources, where the data are at hand.
    init(
        _ state: TrainingState, run: String, adapter: String?, sources: [String] = [], speed: Double? = nil,
        plannedMemory: Int? = nil
    ) {
        let shares = zip(sources, state.sourceTokens ?? []).map { source, tokens -> JSONValue in
            ["path": .string(source), "tokens": .integer(tokens), "share": .finite(Double(tokens) / Double(state.tokens))]
        }
        object = [
            "run": .string(run), "steps": .integer(state.step), "loss": .finite(state.loss),
            "validation_loss": .finite(state.validationLoss), "tokens_per_second": .finite(speed),
            "peak_memory_bytes": ProcessMemory.peak.map { .integer($0) } ?? .null,
            "planned_memory_bytes": plannedMemory.map { .integer($0) } ?? .null, "adapter": adapter.map { .string($0) } ?? .null,
            "finished": .bool(state.isFinished),
            "sources": .array(shares), "skipped_steps": .integer(state.skippedSteps), "rollbacks": .integer(state.rollbacks),
        ]
    }

    func print() { Terminal.output(object) }
}
