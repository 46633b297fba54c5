import Tokenization

/// A record as a JSON object, before anything is known of its format.
struct ParsedRecord {
    let object: JSONObject
    /// The line where it starts, from 1.
    let line: Int
}

/// The bytes of a record and what is needed to parse them, which may be done elsewhere.
struct UnparsedRecord: Sendable {
    let bytes: [UInt8]
    /// Where in the file, unpacked, they lie.
    let offset: Int
    /// The line where the record starts, from 1.
    let line: Int
    let parser: RecordParser

    func parsed() -> Result<ParsedRecord, DatasetProblem> {
        bytes.withUnsafeBufferPointer { parser.parse($0, line: line) }
    }
}

/// A file's records.
struct RawRecords: Sequence {
    private let file: DatasetFile

    init(_ file: DatasetFile) { self.file = file }

    func makeIterator() -> Iterator { Iterator(file) }

    /// What parses the records of a file, wherever their bytes come from.
    static func parser(of file: DatasetFile) throws(DatasetProblem) -> RecordParser {
        var records = Iterator(file)
        try records.open()
        return records.parser
    }

    struct Iterator: IteratorProtocol {
        private let file: DatasetFile
        /// `nil` before the first call and behind the end.
        private var window: ByteWindow?
        private var scanner: RecordScanner?
        private var header: [String]?

        init(_ file: DatasetFile) { self.file = file }

        /// What parses the records, once the first has been asked for.
        var parser: RecordParser { RecordParser(container: file.container, header: header ?? [], path: file.path) }

        mutating func next() -> Result<UnparsedRecord, DatasetProblem>? {
            nextPlace().map { place in
                place.map { window, raw in
                    UnparsedRecord(
                        bytes: window.withBytes { Array($0[raw.range]) }, offset: window.offset + raw.range.lowerBound,
                        line: raw.line, parser: parser)
                }
            }
        }

        /// Where the next record lies in the window.
        mutating func nextPlace() -> Result<(ByteWindow, RawRecord), DatasetProblem>? {
            do throws(DatasetProblem) {
                if scanner == nil { try open() }
                return try nextRaw().map { .success($0) }
            } catch {
                return .failure(error)
            }
        }

        /// Opens the window; a table's first row names its columns.
        fileprivate mutating func open() throws(DatasetProblem) {
            do throws(WindowProblem) {
                let window = try file.window()
                if !window.isComplete { try window.advance(past: 0) }
                scanner = window.withBytes { RecordScanner(file.container, $0) }
                self.window = window
            } catch {
                throw DatasetProblem(error.kind, file: file.path)
            }
            guard case .table(let separator) = file.container, let (window, raw) = try nextRaw() else { return }
            do throws(DatasetProblemKind) {
                header = try window.withBytes { bytes in
                    Result { () throws(DatasetProblemKind) in
                        try RecordParser.header(UnsafeBufferPointer(rebasing: bytes[raw.range]), separator: separator)
                    }
                }.get()
            } catch {
                self.window = nil
                throw DatasetProblem(error, file: file.path, line: raw.line)
            }
        }

        /// A window that cannot move on ends the file.
        private mutating func nextRaw() throws(DatasetProblem) -> (ByteWindow, RawRecord)? {
            while let window, var scanner {
                let step = window.withBytes { bytes in
                    Result { () throws(ScanError) in try scanner.next(in: bytes, isComplete: window.isComplete) }
                }
                self.scanner = scanner
                switch step {
                case .success(.record(let raw)): return (window, raw)
                case .success(.end): self.window = nil
                case .success(.needsMore): try moveOn(window)
                case .failure(let error): throw DatasetProblem(error.kind, file: file.path, line: error.line)
                }
            }
            return nil
        }

        private mutating func moveOn(_ window: ByteWindow) throws(DatasetProblem) {
            do throws(WindowProblem) {
                let done = scanner?.position ?? 0
                try window.advance(past: done)
                scanner?.position -= done
            } catch {
                self.window = nil
                throw DatasetProblem(error.kind, file: file.path)
            }
        }
    }
}
