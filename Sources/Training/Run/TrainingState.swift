public import Datasets

/// Everything but tensors that a checkpoint keeps.
public struct TrainingState: Codable, Sendable, Equatable {
    /// Layout of the checkpoint folder; this program reads only its own.
    public var format = Self.currentFormat
    /// Optimiser steps taken or left out.
    public var step = 0
    /// Of these, the steps that were left out because their numbers had gone bad, and how many of the last were.
    public var skippedSteps = 0, skipsInARow = 0
    /// Steps that are left out when they come: those that a rollback went back before.
    public var passedOver: [Int] = []
    /// How often the run went back to a checkpoint.
    public var rollbacks = 0
    /// Tokens that went through the model, and those that were trained.
    public var tokens = 0, supervisedTokens = 0
    /// Tokens of each training source that went through the model, in the order of the recipe.
    public var sourceTokens: [Int]?
    /// The next micro-batch.
    public var cursor = DataCursor()
    /// Validation loss before the first step, if that was evaluated and is a finite number.
    public var startLoss: Double?
    /// Lowest validation loss so far of those after a step.
    public var bestLoss: Double?
    /// The step of that loss.
    public var bestStep: Int?
    /// Evaluations since then.
    public var evaluationsSinceBest = 0
    /// Last training loss, for the summary of a finished run.
    public var loss: Double?
    /// Last validation loss, for the same; `nil` too where it was no finite number, which JSON has no word for.
    public var validationLoss: Double?
    /// Last validation loss of each validation source, in the order of the recipe; `nil` for one like that.
    public var validationLosses: [Double?]?
    /// Tokens of each expert over the whole run; `nil` in a model without experts.
    public var experts: ExpertUsage?
    /// Whether the run is at its end.
    public var isFinished = false
    /// Inputs and arithmetic.
    public var identity: RunIdentity

    /// The layout that this program writes.
    static let currentFormat = 2

    /// The state of a run that has not begun.
    public init(identity: RunIdentity) { self.identity = identity }
}
