/// What is wrong with a data set, where, and what to do about it.
public struct DatasetProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong.
    public let kind: DatasetProblemKind
    /// The file, as the user named it.
    public let file: String
    /// The line where the record starts (for malformed JSON the line of the error), from 1; `nil` if it concerns the
    /// whole file.
    public let line: Int?

    /// A problem at a place.
    public init(_ kind: DatasetProblemKind, file: String, line: Int? = nil) {
        self.kind = kind
        self.file = file
        self.line = line
    }

    /// Place, what was found and what to do, in one sentence.
    public var description: String { "\(place): \(kind.found); \(remedy)" }

    /// What to do about it.
    public var remedy: String { isMissingInput ? DatasetPaths.remedy(where: file) ?? kind.remedy : kind.remedy }

    /// What is wrong in one word for programs, such as `unknown_role`.
    public var code: String {
        let name = Array(String(describing: kind).prefix { $0 != "(" })
        var code = ""
        for (at, letter) in name.enumerated() {
            let endsAbbreviation = at > 0 && at + 1 < name.count && name[at - 1].isUppercase && name[at + 1].isLowercase
            let startsWord = at > 0 && letter.isUppercase && (name[at - 1].isLowercase || endsAbbreviation)
            code += (startsWord ? "_" : "") + letter.lowercased()
        }
        return code
    }

    /// `file` or `file:line`.
    public var place: String { line.map { "\(file):\($0)" } ?? file }

    /// Whether the file is not there or may not be read, as opposed to being unsuitable.
    public var isMissingInput: Bool { kind == .missing || kind == .denied }

    /// Whether a place that must be written cannot be.
    public var isUnwritable: Bool { if case .unwritable = kind { true } else { false } }

    /// Whether the record exceeds `max_length`.
    public var isTooLong: Bool { if case .tooLong = kind { true } else { false } }

    /// Whether leaving out the record answers the problem, so that `on_error: skip` applies.
    public var isSkippable: Bool {
        switch kind {
        case .missing, .denied, .unreadable, .notText, .empty, .unknownFormat, .ambiguousFormat, .tooLong, .noTokenizer,
            .noTemplate, .noEndToken, .cursorOutside, .nothingLeft, .everythingSupervised, .recordTooLarge,
            .noDataFiles, .foreignField, .fieldNowhere,
            .badHeader, .notTrainable, .changed, .unwritable, .damagedCache:
            false
        default: true
        }
    }
}

extension DatasetProblem: Codable {
    private enum Key: String, CodingKey { case file, line, found, remedy }

    /// Reads a problem that was written in words.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        self.init(
            .recorded(
                found: try container.decode(String.self, forKey: .found),
                remedy: try container.decode(String.self, forKey: .remedy)),
            file: try container.decode(String.self, forKey: .file),
            line: try container.decodeIfPresent(Int.self, forKey: .line))
    }

    /// Writes place, what was found and what to do.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(file, forKey: .file)
        try container.encodeIfPresent(line, forKey: .line)
        try container.encode(kind.found, forKey: .found)
        try container.encode(remedy, forKey: .remedy)
    }
}

/// One case for each way in which data can be unsuitable. Positions count from 0, messages and columns from 1.
public enum DatasetProblemKind: Error, Sendable, Equatable {
    // MARK: The file

    /// There is no such file.
    case missing
    /// The file may not be opened.
    case denied
    /// The file cannot be opened.
    case unreadable(reason: String)
    /// The first bytes are those of another kind of file.
    case notText(looksLike: String)
    /// A folder holds no file of a known ending.
    case noDataFiles
    /// There is no record in it.
    case empty
    /// The first row of a table cannot name its columns.
    case badHeader(reason: String)
    /// A record of a packed file is larger than is allowed.
    case recordTooLarge(limit: Int)
    /// The file is no longer what it was when it was opened.
    case changed
    /// A cache cannot be written.
    case unwritable(reason: String)
    /// A folder of the cache is not what it was.
    case damagedCache(reason: String)
    /// What was wrong when a source was tokenised, as it was said then.
    case recorded(found: String, remedy: String)
    /// The first record has the keys of no format.
    case unknownFormat(keys: [String])
    /// The first record has the keys of several formats.
    case ambiguousFormat([DatasetFormat])

    /// A key that is read from another one of the records is none of the format's.
    case foreignField(String, format: DatasetFormat)
    /// No record has the key from which one of the format should be read.
    case fieldNowhere(String, name: String)

    // MARK: One record of it

    /// The record is no JSON.
    case malformedJSON(column: Int, reason: String)
    /// Two records of an array stand side by side.
    case missingComma
    /// A comma stands behind the last record of an array.
    case trailingComma
    /// An array of records does not end.
    case unclosedArray
    /// An array of records ends before the file does.
    case textAfterArray
    /// The file ends within a cell in quotation marks.
    case unclosedQuotation
    /// Something stands between the end of a cell in quotation marks and the next separator.
    case textAfterQuotation(cell: Int)
    /// A row has more or fewer cells than the table has columns.
    case cellCount(found: Int, columns: Int)
    /// The bytes are no UTF-8.
    case invalidUTF8
    /// The record is some other JSON value.
    case notAnObject(found: String)
    /// A key that the format needs is not there, or null.
    case missingKey(String, format: DatasetFormat, keys: [String])
    /// The value of a key is of the wrong type.
    case wrongType(key: String, expected: String, found: String)
    /// There are no messages.
    case emptyConversation(key: String)
    /// No template knows the role of a message.
    case unknownRole(String, message: Int)
    /// A tool, or a call of one, says no name.
    case namelessTool(key: String)
    /// Both answers of a preference are the same.
    case equalAnswers
    /// A preference mixes texts and messages.
    case mixedPreference
    /// Messages that should end with an answer do not.
    case noAnswer(key: String)
    /// A text for the system stands beside messages that begin with another one.
    case twoSystemTexts
    /// What stands under a key cannot be used in this format, and would be missed.
    case noPlace(key: String, format: DatasetFormat)
    /// What should be learnt is empty.
    case emptyField(String)
    /// An id is negative, too large for an id at all, or outside the vocabulary.
    case tokenIDOutside(id: Int, position: Int, vocabularySize: Int?)
    /// Ids and labels differ in number.
    case labelCount(ids: Int, labels: Int)
    /// A label is neither −100 nor a token id.
    case invalidLabel(Int, position: Int)
    /// The labels were shifted by one already.
    case shiftedLabels

    // MARK: What became of a record when it was encoded

    /// This version cannot train on such records.
    case notTrainable(DatasetFormat)
    /// Text needs a tokenizer.
    case noTokenizer
    /// A conversation needs a chat template.
    case noTemplate
    /// The tokenizer names no token that could end a response.
    case noEndToken
    /// The template did not render the conversation.
    case templateRefused(reason: String)
    /// The beginning token stands there twice.
    case doubledBOS(token: String)
    /// The text of a trained turn does not end with a special token.
    case missingEndToken(message: Int)
    /// The template does not write the tool calls of a trained turn.
    case toolCallsLeftOut(message: Int)
    /// Every answer that is trained is empty.
    case emptyAnswers
    /// The record has nothing to learn.
    case noSupervisedToken(reason: String)
    /// The record exceeds `max_length`.
    case tooLong(tokens: Int, limit: Int)

    // MARK: All records together

    /// Every record was skipped or dropped.
    case nothingLeft(skipped: Int, dropped: Int, first: String?)
    /// Conversations are trained in full although only answers should be.
    case everythingSupervised
    /// A saved position is not one of this data.
    case cursorOutside(DataCursor, batches: Int)
}
