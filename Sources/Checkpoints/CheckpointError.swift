public import TensorCore

/// Why a checkpoint file or folder cannot be read or written. Every case names the file.
public enum CheckpointError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The operating system refused: missing, unreadable, full, read-only.
    case file(FileError)
    /// A safetensors file contradicts itself or the format.
    case safetensors(path: String, SafetensorsProblem)
    /// A shard index, or a folder that should hold a checkpoint, is wrong.
    case shards(path: String, ShardProblem)
    /// A GGUF file contradicts itself or the format, or lacks what is asked for.
    case gguf(path: String, GGUFProblem)
    /// There is no tensor of this name.
    case noTensor(path: String, name: String)
    /// The tensor exists, but its element type cannot be computed with.
    case unsupportedType(path: String, tensor: String, type: String)
    /// Shape, format, row order and bytes do not fit together.
    case tensor(path: String, StoredTensorError)
    /// A tensor that bitsandbytes packed cannot be unpacked.
    case bitsandbytes(path: String, tensor: String, BitsandbytesProblem)
    /// The parts of a parameter in MXFP4 do not belong together.
    case microscaled(path: String, tensor: String, blocks: [Int], scales: [Int])
    /// A writer was asked for something that would give a wrong file.
    case writing(path: String, WritingProblem)

    /// The path of the file or folder concerned.
    public var path: String {
        switch self {
        case .file(let error): error.path
        case .safetensors(let path, _), .shards(let path, _), .gguf(let path, _), .noTensor(let path, _),
            .unsupportedType(let path, _, _), .tensor(let path, _), .bitsandbytes(let path, _, _),
            .microscaled(let path, _, _, _), .writing(let path, _):
            path
        }
    }

    /// The system's error, if this is one: its `kind` tells a full disk from a missing permission.
    public var fileError: FileError? {
        if case .file(let error) = self { error } else { nil }
    }

    /// One sentence: what was found, what was expected, where, and where possible what to do.
    public var description: String {
        switch self {
        case .file(let error): error.description
        case .safetensors(let path, let problem): "\(path): \(problem)"
        case .shards(let path, let problem): "\(path): \(problem)"
        case .gguf(let path, let problem): "\(path): \(problem)"
        case .noTensor(let path, let name): "\(path): there is no tensor called \(name)"
        case .unsupportedType(let path, let tensor, let type):
            "\(path): tensor \(tensor) has type \(type), which cannot be computed with; supported are "
                + StoredFormat.allCases.map(\.rawValue).joined(separator: ", ")
        case .tensor(let path, let error): "\(path): \(error)"
        case .bitsandbytes(let path, let tensor, let problem): "\(path): tensor \(tensor) \(problem)"
        case .microscaled(let path, let tensor, let blocks, let scales):
            "\(path): tensor \(tensor) is in MXFP4 with blocks \(blocks) and scales \(scales), "
                + "expected [experts, outputs, groups, 16] and [experts, outputs, groups]"
        case .writing(let path, let problem): "\(path): \(problem)"
        }
    }
}

/// Runs `body`, giving a system error its place among the checkpoint errors.
func reportingFiles<Result>(
    _ body: @autoclosure () throws(FileError) -> Result
) throws(CheckpointError) -> Result {
    do { return try body() } catch { throw .file(error) }
}
