import Foundation
import Tokenization

/// Where text goes: results to standard output, everything else to standard error.
enum Terminal {
    /// Whether standard error is a terminal that can rewrite a line.
    static let isInteractive = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"

    /// Whether standard output is a terminal that shows colours, and nobody asked for none.
    static let outputIsInteractive: Bool = {
        let environment = ProcessInfo.processInfo.environment
        return isatty(STDOUT_FILENO) == 1 && environment["TERM"] != "dumb" && (environment["NO_COLOR"] ?? "").isEmpty
    }()

    /// Occupies the numbers of streams that were closed from the start: the first files to be opened would get them, and
    /// what is meant for a stream would be written into a run's metrics. Reading or writing them still fails.
    static func occupyClosedStreams() {
        for (stream, mode) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_RDONLY)]
        where fcntl(stream, F_GETFD) < 0 {
            // Streams before it are open, so this one's number is the lowest that is free.
            _ = open("/dev/null", mode)
        }
    }

    /// A result. An optional one need not find a reader: the reader may have gone, or the output been closed from the start.
    static func output(_ text: String, terminator: String = "\n", isOptional: Bool = false) {
        do { try FileHandle.standardOutput.write(contentsOf: Data((text + terminator).utf8)) } catch {
            if isOptional, [EPIPE, EBADF].contains(code(of: error)) { return }
            Self.error("error: standard output cannot be written: \(reason(error)); free some space or write elsewhere")
            Foundation.exit(ExitStatus.inputOutput.rawValue)
        }
    }

    private static func reason(_ error: any Error) -> String {
        code(of: error).map { String(cString: strerror($0)) } ?? (error as NSError).localizedDescription
    }

    private static func code(of error: any Error) -> Int32? {
        ((error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError).map { Int32($0.code) }
    }

    /// Text on standard error; where even that cannot be written, there is nobody left to tell.
    private static func writeError(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }

    /// A result for machines, on one line, also for readers that take Unicode's line ends for such.
    static func output(_ object: JSONObject, isOptional: Bool = false) {
        var line = JSONValue.object(object).serialized(pretty: false)
        for (separator, escape) in [("\u{85}", "\\u0085"), ("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029")] {
            line = line.replacingOccurrences(of: separator, with: escape, options: .literal)
        }
        output(line, isOptional: isOptional)
    }

    /// A line on standard error.
    static func error(_ text: String) { writeError(text + "\n") }

    /// A note on standard error.
    static func note(_ text: String) { error("note: " + text) }

    /// Replaces the current line of the terminal.
    static func rewriteLine(_ text: String) { writeError("\r\u{1B}[K" + text) }
}

extension JSONValue {
    /// A number, or null where JSON has none for it.
    static func finite(_ value: Double?) -> JSONValue {
        guard let value, value.isFinite else { return .null }
        return .number(value)
    }
}
