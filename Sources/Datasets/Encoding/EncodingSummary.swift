/// What became of a data file's records when they were encoded.
public struct EncodingSummary: Sendable, Equatable, Codable {
    /// How many problems and places are kept for a report.
    public static let listLimit = 10

    /// How many keys are counted that the format does not use.
    static let keyLimit = 100

    /// The file.
    public private(set) var source: String
    /// The format of its records.
    public let format: DatasetFormat
    /// Whether the format was found from the keys of the first record.
    public let formatWasDetected: Bool
    /// Records that are trained on.
    public internal(set) var records = 0
    /// What they became: more than `records` where conversations were split.
    public internal(set) var examples = 0
    /// Conversations that became one example for each trained turn, since the template writes turns differently once
    /// others follow.
    public internal(set) var splitRecords = 0
    /// Their tokens.
    public internal(set) var tokens = 0
    /// Those of their tokens that are trained.
    public internal(set) var supervisedTokens = 0
    /// Examples that were cut to `max_length` or below.
    public internal(set) var truncated = 0
    /// Whole trained turns that were cut off.
    public internal(set) var turnsCut = 0
    /// Examples among the truncated whose last trained token, the end of the answer, was cut off.
    public internal(set) var endsCut = 0
    /// `file:line` of the first of those whose end was cut off.
    public internal(set) var firstEndsCut: [String] = []
    /// Examples left out because they are longer than `max_length`.
    public internal(set) var dropped = 0
    /// Broken records left out under `on_error: skip`.
    public internal(set) var skipped = 0
    /// Whether a run stops at broken records, so that they were left out for a look only.
    public var stopsAtBrokenRecords = false
    /// The first of the problems that had records skipped.
    public internal(set) var firstProblems: [DatasetProblem] = []
    /// How many records each kind of problem had skipped, by `DatasetProblem.code`.
    public internal(set) var problemCounts: [String: Int] = [:]
    /// Examples that are trained on and longer than the model was made for.
    public internal(set) var beyondContext = 0
    /// How many tokens the model was made for, if that is known.
    let contextLength: Int?
    /// How many of the records that were encoded a remark is to be made of.
    public internal(set) var remarkCounts: [RecordRemark: Int] = [:]
    /// The first of these records.
    var firstRemarked: [RecordRemark: String] = [:]
    /// How many of the records that were encoded have a key that the format does not use, by key; of the first keys only.
    public internal(set) var unusedKeys: [String: Int] = [:]
    /// How many of these records lack the key from which one of the format should be read, by the latter.
    var missingFields: [String: Int] = [:]
    /// Which key of the records stands for a key of the format, where the two differ.
    let fields: [String: String]
    /// Whether all records were looked at.
    var isWhole = true
    /// The records that were encoded, whatever became of them.
    var encodedRecords = 0
    /// Examples left out because the same stood earlier; see `EncodedDataset.removeDuplicates`.
    public var duplicates = 0
    /// How many records there are of which these are a sample; `nil` if all were looked at.
    public internal(set) var sampledFrom: Int?
    /// Tokens of the shortest example that is trained on; 0 if there is none.
    public internal(set) var shortest = 0
    /// Tokens of the longest example that is trained on; 0 if there is none.
    public internal(set) var longest = 0

    /// The trained share of all tokens, 0…1.
    public var supervisedShare: Double { tokens == 0 ? 0 : Double(supervisedTokens) / Double(tokens) }

    init(_ reader: DatasetReader, contextLength: Int?) {
        (source, format, formatWasDetected) = (reader.path, reader.format, reader.formatWasDetected)
        (self.contextLength, fields) = (contextLength, reader.fields)
    }

    /// The same under another name, for what is cached by its contents.
    func named(_ source: String) -> EncodingSummary {
        var summary = self
        summary.source = source
        return summary
    }

    mutating func add(_ encoded: EncodedRecord) {
        let before = examples
        for outcome in encoded.outcomes {
            switch outcome {
            case .encoded(let example): add(example)
            case .dropped: dropped += 1
            case .truncated(let example, let loss):
                add(example)
                truncated += 1
                switch loss {
                case .nothingTrained: break
                case .turns(let count): turnsCut += count
                case .end:
                    endsCut += 1
                    if firstEndsCut.count < Self.listLimit { firstEndsCut.append(encoded.place.description) }
                }
            }
        }
        if examples > before { records += 1 }
        if encoded.outcomes.count > 1 { splitRecords += 1 }
        encodedRecords += 1
        for remark in encoded.remarks {
            remarkCounts[remark, default: 0] += 1
            if firstRemarked[remark] == nil { firstRemarked[remark] = encoded.place.description }
        }
        for key in encoded.unusedKeys where unusedKeys[key] != nil || unusedKeys.count < Self.keyLimit {
            unusedKeys[key, default: 0] += 1
        }
        for key in encoded.missingFields { missingFields[key, default: 0] += 1 }
    }

    /// A key of the format and the one from which it should be read, if no record has that.
    var fieldWithoutValues: (key: String, name: String)? {
        let key = missingFields.keys.sorted().first { missingFields[$0] == encodedRecords }
        return key.flatMap { key in fields[key].map { (key, $0) } }
    }

    mutating func skip(_ problem: DatasetProblem) {
        skipped += 1
        problemCounts[problem.code, default: 0] += 1
        if firstProblems.count < Self.listLimit { firstProblems.append(problem) }
    }

    private mutating func add(_ example: EncodedExample) {
        let length = example.ids.count
        shortest = examples == 0 ? length : min(shortest, length)
        longest = max(longest, length)
        if length > contextLength ?? .max { beyondContext += 1 }
        examples += 1
        tokens += length
        supervisedTokens += example.supervisedCount
    }
}

extension EncodingSummary: CustomStringConvertible {
    /// One sentence for a report.
    public var description: String {
        let counted = (sampledFrom == nil ? "" : "\(records) of ") + (sampledFrom ?? records).counted("record")
        var parts = [
            "\(counted) of the format \(format.rawValue)\(formatWasDetected ? " (detected)" : "")",
            "\(tokens) tokens", "\(Int((supervisedShare * 100).rounded())) % of them trained",
            "\(shortest) to \(longest) tokens each",
        ]
        if splitRecords > 0 { parts.append("\(splitRecords) of them split by turns into \(examples) examples in all") }
        if truncated > 0 { parts.append(truncation) }
        if dropped > 0 { parts.append("\(dropped) dropped as too long") }
        if skipped > 0 { parts.append(skipped.counted("broken record") + (stopsAtBrokenRecords ? "" : " skipped")) }
        if duplicates > 0 { parts.append("\(duplicates.counted("duplicate")) removed") }
        return "\(source): " + parts.joined(separator: ", ")
    }

    private var truncation: String {
        var text = "\(truncated) truncated"
        if turnsCut > 0 { text += ", with them \(turnsCut) whole answers" }
        if endsCut > 0 { text += ", \(endsCut) without their end (the first: \(firstEndsCut.first ?? ""))" }
        return text
    }
}
