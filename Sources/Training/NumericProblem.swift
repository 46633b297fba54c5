public import Datasets

/// A step whose numbers have gone bad: what, where in the model, and on which records.
public struct NumericProblem: Sendable, Equatable, CustomStringConvertible {
    /// What was not a finite number.
    public enum Kind: Sendable, Equatable {
        /// The loss, or the gradient (also one so large that its square is infinite), before anything was updated.
        case loss, gradient
        /// A trained parameter, after the update: its norm is not finite or beyond all reason.
        case parameter(norm: Double)
    }

    /// The step.
    public let step: Int
    /// What was not a finite number.
    public let kind: Kind
    /// The operation and layer, or the parameter, where it showed first; `nil` if it did not recur when computed again.
    public let origin: String?
    /// The records that are bad each by itself; all of the first bad micro-batch if none is.
    public let records: [RecordPlace]

    /// One clause: what happened where.
    public var description: String {
        switch kind {
        case .parameter(let norm):
            return "parameter \(origin ?? "") reached a norm of \(norm) in step \(step)\(onRecords)"
        case .loss, .gradient:
            let what = kind == .loss ? "the loss" : "the gradient"
            let place = origin.map { ", first in the \($0)" } ?? ", but not when the step was computed again: the sum is too large, or the machine has erred"
            return "\(what) became NaN or infinite in step \(step)\(place)\(onRecords)"
        }
    }

    private var onRecords: String {
        if records.isEmpty { return "" }
        let named = records.prefix(8).map(\.description).joined(separator: ", ")
        return ", on " + named + (records.count > 8 ? " and \(records.count - 8) more records" : "")
    }
}

/// What a run does about a step whose numbers have gone bad.
public enum NaNPolicy: String, Sendable, CaseIterable {
    /// It ends before the step is taken.
    case stop
    /// It leaves the step out and goes on.
    case skip
    /// It goes back to its last checkpoint and leaves the step out on the way from there.
    case rollback
}
