/// What a run reports while it goes.
public enum TrainingEvent: Sendable {
    /// One optimiser step: its report, the speed of the step, and how many steps there are.
    case step(Trainer.StepReport, tokensPerSecond: Double, totalSteps: Int)
    /// The loss on the validation data after a step (0: before the first), all together and for each source.
    case evaluation(step: Int, loss: Double, bySource: [(source: String, loss: Double)], isBest: Bool)
    /// A checkpoint is on disk.
    case checkpoint(step: Int, path: String)
    /// Something the user should know.
    case note(String)
}

/// How a run ended.
public enum TrainingOutcome: Sendable, Equatable {
    /// All steps were taken, or early stopping ended it.
    case finished
    /// It was asked to stop; a checkpoint is on disk.
    case stopped
}
