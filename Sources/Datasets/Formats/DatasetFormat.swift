package import Tokenization

/// The shape of a data set's records. Each has a file of its own beside this one.
public enum DatasetFormat: String, Sendable, Codable, CaseIterable {
    /// `{"messages": [{"role": …, "content": …}, …]}`
    case chat
    /// `{"conversations": [{"from": …, "value": …}, …]}`
    case sharegpt
    /// `{"instruction": …, "input": …, "output": …}`
    case instruct
    /// `{"prompt": …, "completion": …}`
    case completion
    /// `{"text": …}`
    case text
    /// `{"input_ids": […], "labels": […]}`
    case tokens
    /// `{"segments": [{"text": …, "train": …}, …]}`
    case segments
    /// `{"prompt": …, "chosen": …, "rejected": …}`
    case preference

    /// The keys that a record of this format must have.
    public var requiredKeys: [String] {
        switch self {
        case .chat: ChatFormat.requiredKeys
        case .sharegpt: ShareGPTFormat.requiredKeys
        case .instruct: InstructFormat.requiredKeys
        case .completion: CompletionFormat.requiredKeys
        case .text: TextFormat.requiredKeys
        case .tokens: TokensFormat.requiredKeys
        case .segments: SegmentsFormat.requiredKeys
        case .preference: PreferenceFormat.requiredKeys
        }
    }

    /// The keys that a record of this format may have besides.
    public var optionalKeys: [String] {
        switch self {
        case .chat, .sharegpt: ["tools", "system"]
        case .instruct: ["input", "system", "history"]
        case .tokens: ["labels"]
        case .preference: ["prompt"]
        case .completion, .text, .segments: []
        }
    }

    /// Keys that people expect to count wherever they stand: that a format does not use one is worth a remark.
    static let telling: Set<String> = [
        "system", "system_prompt", "history", "input", "context", "tools", "functions", "reasoning", "reasoning_content",
        "thinking", "weight", "train", "labels",
    ]

    /// Whether records are rendered through a chat template, so that its marks of beginning and end can be checked.
    public var usesTemplate: Bool { self == .chat || self == .sharegpt }

    /// Reads one record.
    package func example(from record: JSONObject) throws(DatasetProblemKind) -> Example {
        let fields = RecordFields(object: record, format: self)
        return switch self {
        case .chat: try ChatFormat.example(from: fields)
        case .sharegpt: try ShareGPTFormat.example(from: fields)
        case .instruct: try InstructFormat.example(from: fields)
        case .completion: try CompletionFormat.example(from: fields)
        case .text: try TextFormat.example(from: fields)
        case .tokens: try TokensFormat.example(from: fields)
        case .segments: try SegmentsFormat.example(from: fields)
        case .preference: try PreferenceFormat.example(from: fields)
        }
    }

    /// The one format whose required keys a record has.
    /// - Throws: If none or more than one fits; guessing would train the wrong thing without a word.
    package static func detect(from record: JSONObject) throws(DatasetProblemKind) -> DatasetFormat {
        let fitting = allCases.filter { format in format.requiredKeys.allSatisfy { record[$0] != nil } }
        guard let format = fitting.first else { throw .unknownFormat(keys: record.members.map(\.key)) }
        guard fitting.count == 1 else { throw .ambiguousFormat(fitting) }
        return format
    }

    /// All formats with their keys, for messages.
    static var overview: String {
        allCases.map { "\($0.rawValue) (\($0.requiredKeys.joined(separator: ", ")))" }.joined(separator: ", ")
    }
}
