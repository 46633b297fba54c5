/// Why a chat template cannot be read or does not render a conversation.
///
/// Lines are counted from 1 in the template's source.
public enum TemplateError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The source is no valid template, or uses something that is not supported.
    case syntax(line: Int, reason: String)
    /// The template itself refused the conversation with `raise_exception(message)`; the message is the template's.
    case refused(line: Int, message: String)
    /// Something that does not exist was used for more than printing or testing.
    case undefined(line: Int, reason: String)
    /// A value is of the wrong kind for what the template does with it.
    case evaluation(line: Int, reason: String)
    /// Rendering takes more time, memory or nesting than is allowed.
    case limit(line: Int, reason: String)
    /// An object is no message.
    case invalidMessage(reason: String)
    /// A text is no point in time.
    case invalidTime(String)
    /// The template renders messages differently once others follow, so that the answer of one message has no
    /// certain place in the text. `message` counts from 0.
    case rewrittenHistory(message: Int, reason: String)
    /// The template marks spans of generated text that cannot be attributed to one message each.
    case unattributedSpan(reason: String)

    /// One sentence.
    public var description: String {
        switch self {
        case .syntax(let line, let reason): "line \(line) of the chat template cannot be read: \(reason)"
        case .refused(let line, let message):
            "the chat template refuses the conversation (line \(line)): \(message)"
        case .undefined(let line, let reason), .evaluation(let line, let reason):
            "line \(line) of the chat template cannot be rendered: \(reason)"
        case .limit(let line, let reason): "rendering was stopped at line \(line) of the chat template: \(reason)"
        case .invalidMessage(let reason): "the message cannot be used: \(reason)"
        case .invalidTime(let text): "\"\(text)\" is no time; write it like 2024-07-26 12:00:00"
        case .rewrittenHistory(let message, let reason):
            "the chat template rewrites the conversation after message \(message) (counted from 0), so the place of "
                + "its text is uncertain: \(reason)"
        case .unattributedSpan(let reason): "the chat template's generation blocks cannot be used: \(reason)"
        }
    }

    /// The line of the template, where there is one.
    public var line: Int? {
        switch self {
        case .syntax(let line, _), .refused(let line, _), .undefined(let line, _), .evaluation(let line, _),
            .limit(let line, _):
            line
        case .invalidMessage, .invalidTime, .rewrittenHistory, .unattributedSpan: nil
        }
    }
}

/// An error on its way up, before it is known at which line it happened.
struct TemplateFailure: Error {
    enum Kind { case syntax, refused, undefined, evaluation, limit }

    let kind: Kind
    let reason: String
    var line: Int?

    static func syntax(_ reason: String, line: Int) -> Self { Self(kind: .syntax, reason: reason, line: line) }
    static func undefined(_ reason: String) -> Self { Self(kind: .undefined, reason: reason) }
    static func evaluation(_ reason: String) -> Self { Self(kind: .evaluation, reason: reason) }
    static func limit(_ reason: String) -> Self { Self(kind: .limit, reason: reason) }

    func error(at current: Int) -> TemplateError {
        let line = line ?? current
        return switch kind {
        case .syntax: .syntax(line: line, reason: reason)
        case .refused: .refused(line: line, message: reason)
        case .undefined: .undefined(line: line, reason: reason)
        case .evaluation: .evaluation(line: line, reason: reason)
        case .limit: .limit(line: line, reason: reason)
        }
    }
}
