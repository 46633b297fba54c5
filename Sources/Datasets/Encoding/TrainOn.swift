/// A part of what an assistant says in one turn.
public enum AnswerPart: String, Sendable, Codable, CaseIterable {
    /// The answer that the user reads.
    case final
    /// The reasoning before it.
    case thinking
    /// Calls of tools.
    case toolCalls = "tool_calls"
}

/// Which tokens of a record are trained.
public enum TrainOn: Sendable, Equatable {
    /// Every assistant turn of a conversation; the response, not the prompt, of a completion.
    case assistant
    /// Everything but the first token, which nothing precedes.
    case all
    /// The last assistant turn of a conversation; as `assistant` elsewhere.
    case last
    /// These parts of every assistant turn, each turn with its end; as `assistant` where there are no turns.
    case parts(Set<AnswerPart>)

    /// The words that stand for a case of their own.
    public static let words = ["assistant", "all", "last"]

    /// Reads one word, or the names of parts.
    public init?(_ words: [String]) {
        switch words {
        case ["assistant"]: self = .assistant
        case ["all"]: self = .all
        case ["last"]: self = .last
        default:
            let parts = words.compactMap(AnswerPart.init(rawValue:))
            guard !parts.isEmpty, parts.count == words.count, Set(parts).count == parts.count else { return nil }
            self = .parts(Set(parts))
        }
    }

    /// What `init` reads; parts in their own order.
    public var words: [String] {
        switch self {
        case .assistant: ["assistant"]
        case .all: ["all"]
        case .last: ["last"]
        case .parts(let parts): AnswerPart.allCases.filter(parts.contains).map(\.rawValue)
        }
    }
}
