import Foundation
import TensorCore
import Tokenization
import Training

/// The last line of standard output of a training run.
struct RunSummary {
    private let object: JSONObject

    init(_ state: TrainingState, run: String, adapter: String, speed: Double? = nil, plannedMemory: Int? = nil) {
        object = [
            "run": .string(run), "steps": .integer(state.step), "loss": .finite(state.loss),
            "validation_loss": .finite(state.validationLoss), "tokens_per_second": .finite(speed),
            "peak_memory_bytes": ProcessMemory.peak.map { .integer($0) } ?? .null,
            "planned_memory_bytes": plannedMemory.map { .integer($0) } ?? .null, "adapter": .string(adapter),
        ]
    }

    func print() { Terminal.output(object) }
}
