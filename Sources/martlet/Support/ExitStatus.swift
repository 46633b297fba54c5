import Checkpoints
import Datasets
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Tokenization
import Training

/// Exit codes, after sysexits.
enum ExitStatus: Int32 {
    case usage = 64
    case unsuitableData = 65
    case missingInput = 66
    case unavailable = 69
    case internalFault = 70
    case cannotCreate = 73
    case inputOutput = 74
    case stopped = 75
    case guardStopped = 76
}

/// An error that knows its exit code.
protocol ExitStatusProviding: Error {
    var exitStatus: ExitStatus { get }
}

/// An error that a command itself finds.
struct CommandError: ExitStatusProviding, CustomStringConvertible {
    let exitStatus: ExitStatus
    let description: String

    init(_ exitStatus: ExitStatus, _ description: String) { (self.exitStatus, self.description) = (exitStatus, description) }
}

extension RecipeError: ExitStatusProviding {
    var exitStatus: ExitStatus { isMissingFile ? .missingInput : .usage }
}

extension DatasetProblem: ExitStatusProviding {
    var exitStatus: ExitStatus { isMissingInput ? .missingInput : isUnwritable ? .inputOutput : .unsuitableData }
}

extension BaseModelError: ExitStatusProviding {
    var exitStatus: ExitStatus { if case .missing = self { .missingInput } else { .unsuitableData } }
}

extension InspectionError: ExitStatusProviding {
    var exitStatus: ExitStatus {
        switch self {
        case .missing, .unreadable: .missingInput
        case .unknownFolder, .unknownFile, .gitPointer: .unsuitableData
        }
    }
}

extension ModelError: ExitStatusProviding {
    var exitStatus: ExitStatus { if case .checkpoint(let error) = self { error.exitStatus } else { .unsuitableData } }
}

extension CheckpointError: ExitStatusProviding {
    var exitStatus: ExitStatus { fileError?.exitStatus ?? .unsuitableData }
}

extension FileError: ExitStatusProviding {
    var exitStatus: ExitStatus {
        let reads = action.hasPrefix("open") || action.hasPrefix("read") || action.hasPrefix("map")
        if action == "map", code == EINVAL { return .unsuitableData }
        // A path that leads through a file is as impossible as one that does not exist.
        if code == ENOTDIR || code == ENAMETOOLONG { return reads ? .missingInput : .cannotCreate }
        return switch kind {
        case .missing, .denied: reads ? .missingInput : .cannotCreate
        case .readOnly, .exists: .cannotCreate
        case .full, .other: .inputOutput
        }
    }
}

extension TrainingError: ExitStatusProviding {
    var exitStatus: ExitStatus {
        switch self {
        case .nonFinite, .givenUp: .guardStopped
        case .notARun: .missingInput
        case .runExists, .outputTaken, .runInUse: .cannotCreate
        case .unreadableCheckpoint(_, let error): error.exitStatus
        case .damagedCheckpoint, .allDamaged, .otherFormat, .tokenOutsideVocabulary: .unsuitableData
        case .changed(let changes, _): Self.status(of: changes)
        case .cannotResume(let changes, _): changes.contains { $0.key == "network" } ? .unsuitableData : .usage
        case .noSpace(_, _, _, let check): check == .run ? .unavailable : .inputOutput
        }
    }
}

extension TrainingError {
    /// A recipe that says something else is a mistake of the command line; inputs that are others are unsuitable.
    private static func status(of changes: [RunChange]) -> ExitStatus {
        let inputs = changes.map(\.key).filter(RunChange.otherKeys.contains)
        return inputs.isEmpty ? .usage : inputs == ["memory"] ? .unavailable : .unsuitableData
    }
}

extension MemoryProblem: ExitStatusProviding { var exitStatus: ExitStatus { .unavailable } }

extension TensorError: ExitStatusProviding {
    var exitStatus: ExitStatus { .unavailable }
}

extension TemplateError: ExitStatusProviding { var exitStatus: ExitStatus { .unsuitableData } }
extension AdapterError: ExitStatusProviding { var exitStatus: ExitStatus { .unsuitableData } }
extension TokenizationError: ExitStatusProviding { var exitStatus: ExitStatus { .unsuitableData } }
extension JSONError: ExitStatusProviding { var exitStatus: ExitStatus { .unsuitableData } }
extension ModelMerge.Problem: ExitStatusProviding { var exitStatus: ExitStatus { .unsuitableData } }
