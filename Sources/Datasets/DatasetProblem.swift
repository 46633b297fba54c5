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
    public var description: String { "\(place): \(kind.found); \(kind.remedy)" }

    /// `file` or `file:line`.
    public var place: String { line.map { "\(file):\($0)" } ?? file }

    /// Whether the file is not there, as opposed to being unsuitable.
    public var isMissingInput: Bool { if case .missing = kind { true } else { false } }

    /// Whether leaving out the record answers the problem, so that `on_error: skip` applies.
    public var isSkippable: Bool {
        switch kind {
        case .missing, .unreadable, .notText, .empty, .unknownFormat, .ambiguousFormat, .tooLong, .noTokenizer,
            .noTemplate, .noEndToken, .cursorOutside, .nothingLeft, .everythingSupervised:
            false
        default: true
        }
    }
}

/// One case for each way in which data can be unsuitable; message numbers count from 1.
public enum DatasetProblemKind: Error, Sendable, Equatable {
    // The file.
    case missing
    case unreadable(reason: String)
    case notText(looksLike: String)
    case empty
    case unknownFormat(keys: [String])
    case ambiguousFormat([DatasetFormat])
    // One record of it.
    case malformedJSON(column: Int, reason: String)
    case missingComma
    case unclosedArray
    case textAfterArray
    case notAnObject(found: String)
    case missingKey(String, format: DatasetFormat, keys: [String])
    case wrongType(key: String, expected: String, found: String)
    case emptyConversation
    case unknownRole(String, message: Int)
    case emptyField(String)
    case tokenIDOutside(id: Int, position: Int, vocabularySize: Int?)
    case labelCount(ids: Int, labels: Int)
    case invalidLabel(Int, position: Int)
    case shiftedLabels
    // What became of a record when it was encoded.
    case noTokenizer
    case noTemplate
    case noEndToken
    case templateRefused(reason: String)
    case doubledBOS(token: String)
    case missingEndToken(message: Int)
    case noSupervisedToken(reason: String)
    case tooLong(tokens: Int, limit: Int)
    // All records together.
    case nothingLeft(skipped: Int, dropped: Int, first: String?)
    case everythingSupervised
    case cursorOutside(DataCursor, batches: Int)
}
