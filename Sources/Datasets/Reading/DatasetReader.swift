import Tokenization

/// Reads a data file record by record: JSON lines, or one JSON array of records.
///
/// A byte order mark, any line ending and blank lines are accepted. The file is mapped, never loaded as a whole.
public struct DatasetReader: Sendable {
    /// The file, as the user named it.
    public let path: String
    /// The format of its records: the one asked for, or the one that was found.
    public let format: DatasetFormat
    /// Whether the format was found from the keys of the first record, which is worth telling the user.
    public let formatWasDetected: Bool

    private let file: DatasetFile
    /// How many records the search for a format looks at when the first ones are broken.
    private static let detectionLimit = 100

    /// Opens a file and looks at its beginning.
    /// - Parameters:
    ///   - path: A file.
    ///   - format: The format of its records; `nil` finds it from the keys of the first record.
    /// - Throws: If the file is missing, unreadable, no text or empty, or if no format or several fit.
    public init(path: String, format: DatasetFormat? = nil) throws(DatasetProblem) {
        file = try DatasetFile(path: path)
        self.path = path
        formatWasDetected = format == nil
        if let format {
            var records = RawRecords(file).makeIterator()
            guard records.next() != nil else { throw DatasetProblem(.empty, file: path) }
            self.format = format
        } else {
            self.format = try Self.detectFormat(file)
        }
    }

    /// The records in order, each read when it is asked for; broken ones come as problems between the others.
    public func records() -> some Sequence<Result<DatasetRecord, DatasetProblem>> {
        let (format, path) = (format, path)
        return RawRecords(file).lazy.map { raw in
            raw.flatMap { parsed in
                do throws(DatasetProblemKind) {
                    let example = try format.example(from: parsed.object)
                    return .success(DatasetRecord(example, file: path, line: parsed.line))
                } catch {
                    return .failure(DatasetProblem(error, file: path, line: parsed.line))
                }
            }
        }
    }

    private static func detectFormat(_ file: DatasetFile) throws(DatasetProblem) -> DatasetFormat {
        var firstProblem: DatasetProblem?
        for record in RawRecords(file).prefix(detectionLimit) {
            switch record {
            case .failure(let problem):
                firstProblem = firstProblem ?? problem
            case .success(let record):
                do throws(DatasetProblemKind) {
                    return try DatasetFormat.detect(from: record.object)
                } catch {
                    throw DatasetProblem(error, file: file.path, line: record.line)
                }
            }
        }
        throw firstProblem ?? DatasetProblem(.empty, file: file.path)
    }
}
