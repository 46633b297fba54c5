/// Why training or resuming cannot go on.
public enum TrainingError: Error, CustomStringConvertible, Sendable {
    /// Loss or gradients are NaN or infinite.
    case nonFinite(step: Int, what: String)
    /// A checkpoint is damaged.
    case damagedCheckpoint(path: String, reason: String)
    /// A run folder lacks what resuming needs.
    case notARun(path: String, reason: String)
    /// What a run was started with has changed.
    case changed(what: String, run: String)
    /// The folder of a new run holds one already.
    case runExists(path: String)
    /// The folder of a new run is a file, or holds something that is no run.
    case outputTaken(path: String)
    /// Another process writes this run.
    case runInUse(path: String)
    /// A token id is outside the model's vocabulary.
    case tokenOutsideVocabulary(token: Int, vocabulary: Int)

    /// One sentence: what was found, where, what to do.
    public var description: String {
        switch self {
        case .nonFinite(let step, let what):
            "\(what) became NaN or infinite in step \(step); the last checkpoint is intact: try a lower training.learning_rate or training.max_grad_norm"
        case .damagedCheckpoint(let path, let reason):
            "\(path): \(reason); delete this checkpoint to resume from the one before it"
        case .notARun(let path, let reason): "\(path): \(reason); expected the folder of a run (output.directory of its recipe)"
        case .changed(let what, let run):
            "\(what) differs from what the run \(run) was started with; restore it, or start a new run with another output.directory"
        case .runExists(let path):
            "\(path) holds a run already; continue it with `martlet train --resume \(path)`, replace it with --overwrite, or choose another output.directory"
        case .outputTaken(let path):
            "\(path) exists already and is no run of this program, so it is left alone; choose another output.directory"
        case .runInUse(let path): "\(path) is being written by another process; wait for it or stop it first"
        case .tokenOutsideVocabulary(let token, let vocabulary):
            "the data hold token id \(token), but the model's vocabulary has \(vocabulary) ids; data, tokenizer and model do not belong together"
        }
    }
}
