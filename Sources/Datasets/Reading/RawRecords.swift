import Tokenization

/// A file's records as JSON objects, before anything is known of their format.
struct RawRecords: Sequence {
    struct Record {
        let object: JSONObject
        let line: Int
    }

    private let file: DatasetFile

    init(_ file: DatasetFile) { self.file = file }

    func makeIterator() -> Iterator { Iterator(file) }

    struct Iterator: IteratorProtocol {
        private let file: DatasetFile
        private var scanner: RecordScanner

        init(_ file: DatasetFile) {
            self.file = file
            scanner = file.withBytes { RecordScanner($0) }
        }

        mutating func next() -> Result<Record, DatasetProblem>? {
            let (file, path) = (file, file.path)
            return file.withBytes { bytes in
                do throws(ScanError) {
                    guard let raw = try scanner.next(in: bytes) else { return nil }
                    return Self.parse(UnsafeBufferPointer(rebasing: bytes[raw.range]), file: path, line: raw.line)
                } catch {
                    return .failure(DatasetProblem(error.kind, file: path, line: error.line))
                }
            }
        }

        private static func parse(
            _ bytes: UnsafeBufferPointer<UInt8>, file: String, line: Int
        ) -> Result<Record, DatasetProblem> {
            do throws(JSONError) {
                let value = try JSONValue(parsing: bytes)
                guard let object = value.objectValue else {
                    return .failure(DatasetProblem(.notAnObject(found: value.kindDescription), file: file, line: line))
                }
                return .success(Record(object: object, line: line))
            } catch {
                let kind = DatasetProblemKind.malformedJSON(column: error.column, reason: error.message)
                return .failure(DatasetProblem(kind, file: file, line: line + error.line - 1))
            }
        }
    }
}
