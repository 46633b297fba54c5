import ArgumentParser
import Checkpoints
import Datasets
import Foundation
import Recipes
import Tokenization
import Training

/// How an error leaves the program: one sentence on standard error and the right exit code.
enum Failure {
    static func exit(with error: any Error, asJSON: Bool) -> Never {
        // The parser words its own errors, help and version itself; it wraps them in types that it does not show.
        let isOfParser = String(reflecting: type(of: error)).hasPrefix("ArgumentParser.")
        let isUsage = isOfParser && Martlet.exitCode(for: error) == .validationFailure
        if isOfParser && !(isUsage && asJSON) { Martlet.exit(withError: error) }
        let status = isUsage ? .usage : status(of: error)
        let message = isUsage ? Martlet.message(for: error) : text(of: error)
        Terminal.error(asJSON ? json(error, status, message) : "error: " + message)
        Foundation.exit(status.rawValue)
    }

    private static func text(of error: any Error) -> String {
        error is CocoaError ? (error as NSError).localizedDescription : "\(error)"
    }

    private static func status(of error: any Error) -> ExitStatus {
        if let error = error as? any ExitStatusProviding { return error.exitStatus }
        return error is CocoaError || error is POSIXError ? .inputOutput : .internalFault
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
        } else if case .nonFinite(let problem, _) = error as? TrainingError, let record = problem.records.first {
            fields["file"] = .string(record.file)
            fields["line"] = .integer(record.line)
        } else if let error = error as? CheckpointError {
            fields["file"] = .string(error.path)
        }
        return JSONValue.object(["error": .object(fields)]).serialized(pretty: false)
    }
}
