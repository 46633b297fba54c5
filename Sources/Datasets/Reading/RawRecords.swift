import Tokenization

/// A record as a JSON object, before anything is known of its format.
struct ParsedRecord {
    let object: JSONObject
    /// The line where it starts, from 1.
    let line: Int
}

/// A file's records as JSON objects.
struct RawRecords: Sequence {
    private let file: DatasetFile

    init(_ file: DatasetFile) { self.file = file }

    func makeIterator() -> Iterator { Iterator(file) }

    struct Iterator: IteratorProtocol {
        private let file: DatasetFile
        /// `nil` before the first call and behind the end.
        private var window: ByteWindow?
        private var scanner: RecordScanner?
        private var header: [String]?

        init(_ file: DatasetFile) { self.file = file }

        mutating func next() -> Result<ParsedRecord, DatasetProblem>? {
            do throws(DatasetProblem) {
                if scanner == nil { try open() }
                guard let (window, raw) = try nextRaw() else { return nil }
                let parser = RecordParser(container: file.container, header: header ?? [], path: file.path)
                return window.withBytes { bytes in
                    parser.parse(UnsafeBufferPointer(rebasing: bytes[raw.range]), line: raw.line)
                }
            } catch {
                return .failure(error)
            }
        }

        /// Opens the window; a table's first row names its columns.
        private mutating func open() throws(DatasetProblem) {
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
