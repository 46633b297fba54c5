public import Datasets

/// What identifies the inputs of a run and the arithmetic that it was done with.
public struct RunIdentity: Codable, Sendable, Equatable {
    /// SHA-256 digests of the base model, the tokenizer and template, the encoded training data, and the resolved recipe's
    /// training settings.
    public var base, tokenizer, data, recipe: String
    /// Precision, instruction set and OpenBLAS core: with the same three the bits are the same.
    public var precision, instructionSet, openBLASCore: String

    /// Lists the parts.
    public init(
        base: String, tokenizer: String, data: String, recipe: String, precision: String, instructionSet: String,
        openBLASCore: String
    ) {
        (self.base, self.tokenizer, self.data, self.recipe) = (base, tokenizer, data, recipe)
        (self.precision, self.instructionSet, self.openBLASCore) = (precision, instructionSet, openBLASCore)
    }

    /// Inputs that differ, by name: resuming with them would not continue the run.
    public func changedInputs(since earlier: RunIdentity) -> [String] {
        [
            ("the base model", base, earlier.base), ("the tokenizer or chat template", tokenizer, earlier.tokenizer),
            ("the training data", data, earlier.data), ("the recipe", recipe, earlier.recipe),
        ].filter { $0.1 != $0.2 }.map(\.0)
    }

    /// Whether the arithmetic is the same to the bit.
    public func hasSameArithmetic(as other: RunIdentity) -> Bool {
        precision == other.precision && instructionSet == other.instructionSet && openBLASCore == other.openBLASCore
    }
}

/// Everything but tensors that a checkpoint keeps.
public struct TrainingState: Codable, Sendable, Equatable {
    /// Layout of the checkpoint folder; this program reads only its own.
    public var format = 1
    /// Optimiser steps taken.
    public var step = 0
    /// Tokens that went through the model, and those that were trained.
    public var tokens = 0, supervisedTokens = 0
    /// Tokens of each training source that went through the model, in the order of the recipe.
    public var sourceTokens: [Int]?
    /// The next micro-batch.
    public var cursor = DataCursor()
    /// Lowest validation loss so far, and its step.
    public var bestLoss: Double?
    public var bestStep: Int?
    /// Evaluations since then.
    public var evaluationsSinceBest = 0
    /// Last training loss and validation loss, for the summary of a finished run.
    public var loss: Double?
    public var validationLoss: Double?
    /// Last validation loss of each validation source, in the order of the recipe.
    public var validationLosses: [Double]?
    /// Tokens of each expert over the whole run; `nil` in a model without experts.
    public var experts: ExpertUsage?
    /// Whether the run is at its end.
    public var isFinished = false
    /// Inputs and arithmetic.
    public var identity: RunIdentity

    /// The state of a run that has not begun.
    public init(identity: RunIdentity) { self.identity = identity }
}
