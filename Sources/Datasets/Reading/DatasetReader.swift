import Foundation
import Tokenization

/// Reads data record by record: from one file, from all files of a folder or from all that a pattern matches.
///
/// Files hold JSON lines, one JSON array of records, a table with a header (`.csv`, `.tsv`) or a text per line
/// (`.txt`), packed with gzip or zstd or not. A byte order mark, any line ending and blank lines are accepted. Files
/// are mapped or unpacked piece by piece, never loaded as a whole.
public struct DatasetReader: Sendable {
    /// The file, folder or pattern, as the user named it.
    public let path: String
    /// The files it stands for, in the order in which they are read.
    public let files: [String]
    /// The format of its records: the one asked for, or the one that was found.
    public let format: DatasetFormat
    /// Whether the format was found from the keys of the first record, which is worth telling the user.
    public let formatWasDetected: Bool
    /// Which key of the records stands for a key of the format, where the two differ.
    public let fields: [String: String]

    /// Opened once, so that what was looked at is what is read.
    let first: DatasetFile
    private let names: FieldNames
    /// The keys of records, as the files have them, from which examples are made.
    private let usedKeys: Set<String>

    /// How many records the search for a format looks at when the first ones are broken.
    private static let detectionLimit = 100

    /// Opens data and looks at their beginning.
    /// - Parameters:
    ///   - path: A file, a folder or a pattern such as `data/*.jsonl.gz`.
    ///   - format: The format of the records; `nil` finds it from the keys of the first record.
    ///   - fields: For keys of the format the key that the records have instead, as in `["messages": "dialogue"]`.
    /// - Throws: If a file is missing, unreadable, no text or empty, if no format or several fit, or if a field is none of
    ///   the format's.
    public init(
        path: String, format: DatasetFormat? = nil, fields: [String: String] = [:]
    ) throws(DatasetProblem) {
        self.path = path
        self.fields = fields
        files = try DatasetPaths.files(at: path)
        first = try DatasetFile(path: files[0])
        formatWasDetected = format == nil
        names = FieldNames(fields)
        var unparsed = UnparsedRecords(first, files.dropFirst())
        if let format {
            switch unparsed.next()?.flatMap({ $0.parsed() }) {
            case nil: throw DatasetProblem(.empty, file: path)
            case .failure(let problem) where !problem.isSkippable: throw problem
            default: self.format = format
            }
        } else {
            self.format = try Self.detectFormat(&unparsed, names, path)
        }
        let keys = self.format.requiredKeys + self.format.optionalKeys
        usedKeys = Set(keys.map { fields[$0] ?? $0 })
        if let stranger = fields.keys.sorted().first(where: { !keys.contains($0) }) {
            throw DatasetProblem(.foreignField(stranger, format: self.format), file: path)
        }
    }

    /// The files that a path stands for.
    public static func files(at path: String) throws(DatasetProblem) -> [String] { try DatasetPaths.files(at: path) }

    /// Bytes of a file on disk, 0 if there is none.
    public static func byteCount(_ file: String) -> Int {
        var status = stat()
        return stat(file, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Bytes of all files on disk.
    public var byteCount: Int { files.reduce(0) { $0 + Self.byteCount($1) } }

    /// Whether a file is packed, by its first bytes; `false` if it cannot be read, or only once.
    public static func isPacked(_ file: String) -> Bool {
        var status = stat()
        guard stat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG, let opened = try? OpenFile(file), let start = try? opened.read(min(4, opened.count), of: UInt8.self, at: 0)
        else { return false }
        return start.withUnsafeBufferPointer { Compression($0) != nil }
    }

    /// The records in order, each read when it is asked for; broken ones come as problems between the others.
    public func records() -> some Sequence<Result<DatasetRecord, DatasetProblem>> {
        unparsed().lazy.map { $0.flatMap(record) }
    }

    /// The records as bytes, to be parsed elsewhere.
    func unparsed() -> some Sequence<Result<UnparsedRecord, DatasetProblem>> {
        IteratorSequence(UnparsedRecords(first, files.dropFirst()))
    }

    /// Parses a record.
    func record(from unparsed: UnparsedRecord) -> Result<DatasetRecord, DatasetProblem> {
        let file = unparsed.parser.path
        return unparsed.parsed().flatMap { record in
            do throws(DatasetProblemKind) {
                let example = try format.example(from: names.applied(to: record.object))
                var found = DatasetRecord(example, file: file, line: record.line)
                found.unusedKeys = record.object.members.compactMap { key, value in
                    usedKeys.contains(key) || value.holdsNothing ? nil : key
                }
                found.missingFields = fields.filter { record.object[$0.value] == nil }.keys.sorted()
                return .success(found)
            } catch {
                return .failure(DatasetProblem(error, file: file, line: record.line))
            }
        }
    }

    private static func detectFormat(
        _ unparsed: inout UnparsedRecords, _ names: FieldNames, _ path: String
    ) throws(DatasetProblem) -> DatasetFormat {
        var firstProblem: DatasetProblem?
        for _ in 0..<detectionLimit {
            guard let next = unparsed.next() else { break }
            switch next.flatMap({ record in record.parsed().map { (record.parser.path, $0) } }) {
            case .failure(let problem): firstProblem = firstProblem ?? problem
            case .success((let file, let record)):
                do throws(DatasetProblemKind) {
                    return try DatasetFormat.detect(from: names.applied(to: record.object))
                } catch {
                    throw DatasetProblem(error, file: file, line: record.line)
                }
            }
        }
        throw firstProblem ?? DatasetProblem(.empty, file: path)
    }
}

/// The records of several files, one file after another.
private struct UnparsedRecords: IteratorProtocol {
    private var files: ArraySlice<String>
    private var current: RawRecords.Iterator?

    init(_ first: DatasetFile, _ others: ArraySlice<String>) {
        files = others
        current = RawRecords(first).makeIterator()
    }

    mutating func next() -> Result<UnparsedRecord, DatasetProblem>? {
        while true {
            if let record = current?.next() { return record }
            guard let file = files.popFirst() else { return nil }
            do throws(DatasetProblem) {
                current = RawRecords(try DatasetFile(path: file)).makeIterator()
            } catch {
                current = nil
                return .failure(error)
            }
        }
    }
}

/// Which keys of records stand for keys of their format.
private struct FieldNames: Sendable {
    private let fields: [(ours: String, theirs: String)]

    init(_ fields: [String: String]) { self.fields = fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }

    /// A record under the names that the format has. A key of a record that a field of another name is read from no
    /// longer counts under its own.
    func applied(to object: JSONObject) -> JSONObject {
        if fields.isEmpty { return object }
        return JSONObject(
            object.members.compactMap { member -> (key: String, value: JSONValue)? in
                if let field = fields.first(where: { $0.theirs == member.key }) { return (field.ours, member.value) }
                return fields.contains { $0.ours == member.key } ? nil : member
            })
    }
}
