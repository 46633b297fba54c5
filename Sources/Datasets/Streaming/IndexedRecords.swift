/// The records of a source encoded at the moment they are asked for.
public final class IndexedRecords: RecordStore {
    public let source: String
    public var recordCount: Int { index.count }
    private let reader: DatasetReader
    private let index: RecordIndex
    private let files: RecordFiles
    private let encoder: ExampleEncoder
    private let onError: ErrorPolicy
    private let skipped: @Sendable (DatasetProblem) -> Void

    /// The records of a source, whose files are opened as they are needed.
    /// - Parameters:
    ///   - reader: The source; none of its files is packed.
    ///   - index: Where its records lie.
    ///   - encoder: Turns them into tokens.
    ///   - onError: What happens to broken records, as in `ExampleEncoder.encode`.
    ///   - skipped: Is told of every record that is left out, from whichever thread asked for it.
    /// - Throws: `DatasetProblem` if a file is not there.
    public init(
        _ reader: DatasetReader, index: RecordIndex, encoder: ExampleEncoder, onError: ErrorPolicy,
        skipped: @escaping @Sendable (DatasetProblem) -> Void
    ) throws(DatasetProblem) {
        (source, self.reader, self.index, self.encoder) = (reader.path, reader, index, encoder)
        (self.onError, self.skipped) = (onError, skipped)
        files = try RecordFiles(reader.files)
    }

    public func examples(of record: Int) throws -> [EncodedExample] {
        do throws(DatasetProblem) {
            return try encoder.encode(try self.record(record)).compactMap(\.example)
        } catch {
            guard onError == .skip, error.isSkippable else { throw error }
            skipped(error)
            return []
        }
    }

    private func record(_ record: Int) throws(DatasetProblem) -> DatasetRecord {
        let (number, place) = try index.place(of: record)
        let file = try files.file(number)
        guard file.bytes.isUnchanged else { throw DatasetProblem(.changed, file: file.parser.path) }
        let bytes: [UInt8]
        do throws(OpenFile.Failure) {
            bytes = try file.bytes.read(Int(place.length), of: UInt8.self, at: Int(place.offset))
        } catch {
            throw DatasetProblem(.unreadable(reason: error.reason), file: file.parser.path)
        }
        let unparsed = UnparsedRecord(
            bytes: bytes, offset: Int(place.offset), line: Int(place.line), parser: file.parser)
        return try reader.record(from: unparsed).get()
    }

    /// What becomes of some records spread over the source, for a look at them before training.
    /// - Parameter count: How many records at most.
    /// - Throws: The first problem under `stop`.
    public func sample(_ count: Int) throws(DatasetProblem) -> (summary: EncodingSummary, examples: EncodedDataset) {
        var summary = EncodingSummary(reader, contextLength: encoder.contextLength)
        var examples = EncodedDataset()
        examples.beginSource(source)
        let count = min(count, recordCount)
        for number in 0..<count {
            let (quotient, rest) = recordCount.quotientAndRemainder(dividingBy: count)
            do throws(DatasetProblem) {
                let encoded = try encoder.encoded(try record(quotient * number + rest * number / count))
                summary.add(encoded)
                for example in encoded.examples { examples.append(example) }
            } catch {
                guard onError == .skip, error.isSkippable else { throw error }
                summary.skip(error)
            }
        }
        (summary.sampledFrom, summary.isWhole) = (recordCount, count == recordCount)
        return (summary, examples)
    }
}
