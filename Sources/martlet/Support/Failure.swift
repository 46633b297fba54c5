import ArgumentParser
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

/// An error that a command itself finds.
struct CommandError: Error, CustomStringConvertible {
    let status: ExitStatus
    let description: String

    init(_ status: ExitStatus, _ description: String) { (self.status, self.description) = (status, description) }
}

/// How any error leaves the program: one sentence on standard error and the right exit code.
enum Failure {
    static func exit(with error: any Error, asJSON: Bool) -> Never {
        guard let status = status(of: error) else { Martlet.exit(withError: error) }
        let message = sentence(for: error)
        Terminal.error(asJSON ? json(error, status, message) : "error: " + message)
        Foundation.exit(status.rawValue)
    }

    /// `nil` for what the argument parser handles itself: help, version, a wrong command line.
    private static func status(of error: any Error) -> ExitStatus? {
        switch error {
        case let error as CommandError: error.status
        case let error as RecipeError: error.isMissingFile ? .missingInput : .usage
        case let error as DatasetProblem: error.isMissingInput ? .missingInput : .unsuitableData
        case let error as BaseModelError: if case .missing = error { .missingInput } else { .unsuitableData }
        case let error as ModelError: status(of: error)
        case let error as CheckpointError: status(of: error)
        case let error as FileError: status(of: error)
        case let error as TrainingError: status(of: error)
        case let error as TemplateError: status(of: error)
        case is AdapterError, is TokenizationError, is JSONError: .unsuitableData
        case is ModelMerge.Problem: .unsuitableData
        case is TensorError: .unavailable
        case is CleanExit, is ValidationError, is ExitCode: nil
        case let error as NSError where error.domain == NSCocoaErrorDomain || error.domain == NSPOSIXErrorDomain: .inputOutput
        // The parser wraps its own errors in a type that it does not show.
        default: String(reflecting: type(of: error)).hasPrefix("ArgumentParser.") ? nil : .internalFault
        }
    }

    private static func status(of error: ModelError) -> ExitStatus {
        if case .checkpoint(let inner) = error { return status(of: inner) }
        return .unsuitableData
    }

    private static func status(of error: CheckpointError) -> ExitStatus {
        error.fileError.map { status(of: $0) } ?? .unsuitableData
    }

    private static func status(of error: FileError) -> ExitStatus {
        let reads = error.action.hasPrefix("open") || error.action.hasPrefix("read") || error.action.hasPrefix("map")
        switch error.kind {
        case .missing: return reads ? .missingInput : .cannotCreate
        case .denied: return reads ? .missingInput : .cannotCreate
        case .readOnly, .exists: return .cannotCreate
        case .full, .other: return .inputOutput
        }
    }

    private static func status(of error: TrainingError) -> ExitStatus {
        switch error {
        case .nonFinite: .guardStopped
        case .notARun: .missingInput
        case .runExists, .runInUse: .cannotCreate
        case .damagedCheckpoint, .changed, .tokenOutsideVocabulary: .unsuitableData
        }
    }

    private static func status(of error: TemplateError) -> ExitStatus { .unsuitableData }

    private static func sentence(for error: any Error) -> String {
        error is CocoaError ? (error as NSError).localizedDescription : "\(error)"
    }

    private static func json(_ error: any Error, _ status: ExitStatus, _ message: String) -> String {
        var fields = JSONObject([("code", .integer(Int(status.rawValue))), ("message", .string(message))])
        if let problem = (error as? RecipeError)?.problems.first {
            fields["file"] = .string(problem.file)
            fields["line"] = problem.line.map { .integer($0) }
            fields["column"] = problem.column.map { .integer($0) }
            fields["key"] = .string(problem.key)
            fields["hint"] = problem.hint.map { .string($0) }
        } else if let problem = error as? DatasetProblem {
            fields["file"] = .string(problem.file)
            fields["line"] = problem.line.map { .integer($0) }
        } else if let error = error as? CheckpointError {
            fields["file"] = .string(error.path)
        }
        return JSONValue.object(["error": .object(fields)]).serialized(pretty: false)
    }
}
