public import Tokenization

/// What became of one example of a record.
public enum EncodingOutcome: Sendable, Equatable {
    /// Encoded as a whole.
    case encoded(EncodedExample)
    /// Cut to `max_length` or below, with what was lost.
    case truncated(EncodedExample, lost: TruncationLoss)
    /// Longer than `max_length` and left out.
    case dropped(tokens: Int)

    /// The example, unless it was left out.
    public var example: EncodedExample? {
        switch self {
        case .encoded(let example), .truncated(let example, _): example
        case .dropped: nil
        }
    }
}

/// Turns records into token ids and labels: the one place where it is decided what is trained.
public struct ExampleEncoder: Sendable {
    /// The base model's tokenizer; `nil` is enough for records of token ids.
    public let tokenizer: Tokenizer?
    /// The base model's chat template; `nil` is enough for everything but conversations.
    public let template: ChatTemplate?
    /// Ids must be below it; `nil` leaves them unchecked.
    public let vocabularySize: Int?
    /// How many tokens the model was made for; longer examples are counted. `nil` counts none.
    public let contextLength: Int?
    /// Mask and length.
    public let options: EncodingOptions

    /// An encoder for one base model.
    /// - Parameters:
    ///   - tokenizer: The base model's tokenizer, if it has one.
    ///   - template: Its chat template, if it has one.
    ///   - vocabularySize: The number of rows of its embedding; ids of every record must be below it.
    ///   - contextLength: How many tokens the model was made for; a report tells how many examples are longer.
    ///   - options: Mask and length.
    public init(
        tokenizer: Tokenizer?, template: ChatTemplate?, vocabularySize: Int? = nil, contextLength: Int? = nil,
        options: EncodingOptions = EncodingOptions()
    ) {
        self.tokenizer = tokenizer
        self.template = template
        self.vocabularySize = vocabularySize
        self.contextLength = contextLength
        self.options = options
    }

    /// Encodes one record.
    /// - Returns: One outcome; or one for each trained turn of a conversation whose template writes turns differently
    ///   once others follow.
    /// - Throws: `DatasetProblem` with the record's place: when nothing of it is trained, a trained turn has no end
    ///   token, its beginning is doubled, an id is unknown, or it is too long and `truncation` is `error`.
    public func encode(_ record: DatasetRecord) throws(DatasetProblem) -> [EncodingOutcome] {
        try encoded(record).outcomes
    }

    /// Encodes one record, with what is to be said of it.
    func encoded(_ record: DatasetRecord) throws(DatasetProblem) -> EncodedRecord {
        do throws(DatasetProblemKind) {
            var outcomes: [EncodingOutcome] = []
            let sequences = try sequences(of: record.example)
            for sequence in sequences {
                try checkIDs(sequence.ids, sequence.labels)
                let isTrained = sequence.labels.dropFirst().contains { $0 != TokenBatch.ignoredLabel }
                if isTrained { outcomes.append(try fitted(sequence, line: record.line)) }
            }
            if outcomes.isEmpty { throw .noSupervisedToken(reason: reasonForNoTarget(record.example)) }
            return EncodedRecord(
                outcomes: outcomes, place: RecordPlace(file: record.file, line: record.line),
                remarks: sequences.reduce(into: []) { $0.formUnion($1.remarks) }, unusedKeys: record.unusedKeys,
                missingFields: record.missingFields)
        } catch {
            throw DatasetProblem(error, file: record.file, line: record.line)
        }
    }

    private func sequences(of example: Example) throws(DatasetProblemKind) -> [LabelledTokens] {
        switch example {
        case .conversation(let conversation): return try encode(conversation)
        case .completion(let prompt, let response): return [try encode(prompt: prompt, response: response)]
        case .text(let text): return [try encode(text: text)]
        case .segments(let segments): return [try encode(segments)]
        case .preference: throw .notTrainable(.preference)
        case .tokens(let ids, let labels):
            if let labels, labels.count != ids.count { throw .labelCount(ids: ids.count, labels: labels.count) }
            return [LabelledTokens(ids: ids, labels: labels ?? ids)]
        }
    }

    private func checkIDs(_ ids: [Int32], _ labels: [Int32]) throws(DatasetProblemKind) {
        guard let size = vocabularySize else { return }
        for (position, id) in ids.enumerated() where id < 0 || Int(id) >= size {
            throw .tokenIDOutside(id: Int(id), position: position, vocabularySize: size)
        }
        for (position, label) in labels.enumerated() where label != TokenBatch.ignoredLabel {
            if label < 0 || Int(label) >= size { throw .invalidLabel(Int(label), position: position) }
        }
    }

    /// Applies `max_length`.
    private func fitted(_ sequence: LabelledTokens, line: Int) throws(DatasetProblemKind) -> EncodingOutcome {
        let length = sequence.ids.count
        guard let limit = options.maxLength, length > limit else {
            return .encoded(sequence.example(upTo: length, line: line))
        }
        switch options.truncation {
        case .error: throw .tooLong(tokens: length, limit: limit)
        case .drop: return .dropped(tokens: length)
        case .truncate:
            let (kept, loss) = sequence.truncated(to: limit, line: line)
            guard kept.supervisedCount > 0 else {
                throw .noSupervisedToken(reason: "truncation at max_length \(limit) leaves only the prompt")
            }
            return .truncated(kept, lost: loss)
        }
    }

    private func reasonForNoTarget(_ example: Example) -> String {
        guard case .conversation(let conversation) = example else {
            return "its labels mask everything, or it has a single token"
        }
        guard let last = conversation.messages.lastIndex(where: { $0.role == "assistant" }) else {
            return "it has no assistant message"
        }
        if conversation.untrained.contains(last) { return "its assistant messages are marked train: false" }
        if case .parts = options.trainOn {
            return "its assistant messages have no \(options.trainOn.words.joined(separator: " and no "))"
        }
        return "the template renders its assistant messages empty"
    }
}
