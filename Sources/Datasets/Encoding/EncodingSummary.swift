/// What became of a data file's records when they were encoded.
public struct EncodingSummary: Sendable, Equatable {
    /// How many problems and places are kept for a report.
    public static let listLimit = 10

    /// The file.
    public let source: String
    /// The format of its records.
    public let format: DatasetFormat
    /// Whether the format was found from the keys of the first record.
    public let formatWasDetected: Bool
    /// Records that are trained on.
    public internal(set) var records = 0
    /// Their tokens.
    public internal(set) var tokens = 0
    /// Those of their tokens that are trained.
    public internal(set) var supervisedTokens = 0
    /// Records that were cut at `max_length`.
    public internal(set) var truncated = 0
    /// Records among them whose last trained token, the end of the answer, was cut off.
    public internal(set) var endsCut = 0
    /// `file:line` of the first of those whose end was cut off.
    public internal(set) var firstEndsCut: [String] = []
    /// Records left out because they are longer than `max_length`.
    public internal(set) var dropped = 0
    /// Broken records left out under `on_error: skip`.
    public internal(set) var skipped = 0
    /// The first of the problems that had records skipped.
    public internal(set) var firstProblems: [DatasetProblem] = []
    /// Tokens of the shortest record that is trained on; 0 if there is none.
    public internal(set) var shortest = 0
    /// Tokens of the longest record that is trained on; 0 if there is none.
    public internal(set) var longest = 0

    /// The trained share of all tokens, 0…1.
    public var supervisedShare: Double { tokens == 0 ? 0 : Double(supervisedTokens) / Double(tokens) }

    init(source: String, format: DatasetFormat, formatWasDetected: Bool) {
        self.source = source
        self.format = format
        self.formatWasDetected = formatWasDetected
    }

    mutating func add(_ outcome: EncodingOutcome, place: String) {
        switch outcome {
        case .encoded(let example): add(example)
        case .truncated(let example, let endWasCut):
            add(example)
            truncated += 1
            guard endWasCut else { return }
            endsCut += 1
            if firstEndsCut.count < Self.listLimit { firstEndsCut.append(place) }
        case .dropped: dropped += 1
        }
    }

    mutating func skip(_ problem: DatasetProblem) {
        skipped += 1
        if firstProblems.count < Self.listLimit { firstProblems.append(problem) }
    }

    private mutating func add(_ example: EncodedExample) {
        let length = example.ids.count
        shortest = records == 0 ? length : min(shortest, length)
        longest = max(longest, length)
        records += 1
        tokens += length
        supervisedTokens += example.supervisedCount
    }
}

extension EncodingSummary: CustomStringConvertible {
    /// One sentence for a report.
    public var description: String {
        var parts = [
            "\(records) records of the format \(format.rawValue)\(formatWasDetected ? " (detected)" : "")",
            "\(tokens) tokens", "\(Int((supervisedShare * 100).rounded())) % of them trained",
            "\(shortest) to \(longest) tokens each",
        ]
        if truncated > 0 { parts.append("\(truncated) truncated, \(endsCut) of them without their end") }
        if dropped > 0 { parts.append("\(dropped) dropped as too long") }
        if skipped > 0 { parts.append("\(skipped) broken ones skipped") }
        return "\(source): " + parts.joined(separator: ", ")
    }
}
