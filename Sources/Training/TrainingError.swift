public import TensorCore

/// Why training or resuming cannot go on.
public enum TrainingError: Error, CustomStringConvertible, Sendable {
    /// Loss, gradients or parameters are NaN, infinite or beyond all reason.
    /// `lastCheckpoint` is the step of the newest checkpoint of the run, if there is one.
    case nonFinite(NumericProblem, lastCheckpoint: Int? = nil)
    /// The same once more after as many attempts to go on as a run makes.
    case givenUp(NumericProblem, attempts: String, lastCheckpoint: Int?)
    /// A checkpoint is damaged; `hasEarlier` says whether the run has one from before.
    case damagedCheckpoint(path: String, reason: String, hasEarlier: Bool)
    /// A checkpoint, or the folder of all, cannot be read: it may be whole.
    case unreadableCheckpoint(path: String, FileError)
    /// No checkpoint of a run is whole; `newest` says what is wrong with the newest.
    case allDamaged(run: String, count: Int, newest: String)
    /// A checkpoint is of a version of this program that lays it out in another way.
    case otherFormat(path: String, format: Int)
    /// A run folder lacks what resuming needs.
    case notARun(path: String, reason: String)
    /// What a run was started with has changed, and nobody has said that this is meant.
    case changed([RunChange], run: String)
    /// What a run was started with has changed so that its checkpoint does not fit.
    case cannotResume([RunChange], run: String)
    /// The disk has no room for the checkpoints of the run, or for the next one.
    case noSpace(path: String, needed: Int, free: Int, during: SpaceCheck)
    /// The folder of a new run holds one already.
    case runExists(path: String)
    /// The folder of a new run is a file, or holds something that is no run; `reason` follows the path.
    case outputTaken(path: String, reason: String)
    /// Another process writes this run.
    case runInUse(path: String)
    /// A token id is outside the model's vocabulary.
    case tokenOutsideVocabulary(token: Int, vocabulary: Int)

    /// One sentence: what was found, where, what to do.
    public var description: String {
        switch self {
        case .nonFinite(let problem, let last):
            "\(problem)\(Self.left(last)): try a lower training.learning_rate or training.max_grad_norm, or training.on_nan: skip or rollback"
        case .givenUp(let problem, let attempts, let last):
            "\(problem), after \(attempts)\(Self.left(last)): try a lower training.learning_rate or training.max_grad_norm, or look at the data"
        case .damagedCheckpoint(let path, let reason, let hasEarlier):
            "\(path): \(reason); "
                + (hasEarlier
                    ? "delete this checkpoint to resume from the one before it"
                    : "bring the checkpoint back from a copy, or start the run anew with --overwrite")
        case .unreadableCheckpoint(let path, let error):
            "\(error); what cannot be read may be whole, so the run is left as it is: make it readable, or move \(path) away to go on without it"
        case .allDamaged(let run, let count, let newest):
            (count == 1 ? "the only checkpoint of \(run) is damaged" : "all \(count) checkpoints of \(run) are damaged")
                + " (\(newest)); bring one back from a copy, or start anew with --overwrite"
        case .otherFormat(let path, let format):
            "\(path): the checkpoint has layout \(format), expected \(TrainingState.currentFormat); resume with the version of the program that wrote it, move this folder away to go on from an older checkpoint, or start a new run"
        case .notARun(let path, let reason): "\(path): \(reason); expected the folder of a run (output.directory of its recipe)"
        case .changed(let changes, let run):
            "\(run) was started otherwise: \(Self.list(changes)); restore that, or go on all the same with \(changes.map { "--allow-change \($0.key)" }.joined(separator: " "))"
        case .cannotResume(let changes, let run):
            "\(run) cannot go on with another \(Self.list(changes)), which its checkpoint does not fit; restore that, or start a new run with another output.directory"
        case .noSpace(let path, let needed, let free, let check):
            "\(path): \(check.rawValue) needs \(needed) bytes, but only \(free) are free on its disk; free some space, lower checkpoint.keep or choose another output.directory"
        case .runExists(let path):
            "\(path) holds a run already; continue it with `martlet train --resume \(path)`, replace it with --overwrite, or choose another output.directory"
        case .outputTaken(let path, let reason):
            "\(path) exists already and \(reason), so it is left alone; choose another output.directory"
        case .runInUse(let path): "\(path) is being written by another process; wait for it or stop it first"
        case .tokenOutsideVocabulary(let token, let vocabulary):
            "the data hold token id \(token), but the model's vocabulary has \(vocabulary) ids; data, tokenizer and model do not belong together"
        }
    }

    /// What a run that has stopped itself can go on from.
    private static func left(_ lastCheckpoint: Int?) -> String {
        lastCheckpoint.map { "; the checkpoint of step \($0) is intact" } ?? ""
    }

    private static func list(_ changes: [RunChange]) -> String { changes.map(\.description).joined(separator: ", ") }

    /// When the room on the disk is looked at.
    public enum SpaceCheck: String, Sendable {
        /// Before the first step.
        case run = "the run with its checkpoints"
        /// Before a checkpoint is written.
        case checkpoint = "the next checkpoint"
    }
}
