import Foundation
import Tokenization

/// Where text goes: results to standard output, everything else to standard error.
enum Terminal {
    /// Whether standard error is a terminal that can rewrite a line.
    static let isInteractive = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"

    /// A result.
    static func output(_ text: String, terminator: String = "\n") {
        FileHandle.standardOutput.write(Data((text + terminator).utf8))
    }

    /// A result for machines, on one line.
    static func output(_ object: JSONObject) { output(JSONValue.object(object).serialized(pretty: false)) }

    /// A line on standard error.
    static func error(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

    /// A note on standard error.
    static func note(_ text: String) { error("note: " + text) }

    /// Replaces the current line of the terminal.
    static func rewriteLine(_ text: String) { FileHandle.standardError.write(Data(("\r\u{1B}[K" + text).utf8)) }
}

extension JSONValue {
    /// A number, or null where JSON has none for it.
    static func finite(_ value: Double?) -> JSONValue {
        guard let value, value.isFinite else { return .null }
        return .number(value)
    }
}
