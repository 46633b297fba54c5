public import Foundation

/// Calls a body with 0, 1, … below a count, on as many threads as there are, and returns when all are done.
public typealias ParallelLoop = (_ count: Int, _ body: (Int) -> Void) -> Void

extension ExampleEncoder {
    /// Encodes a whole source into a folder that `TokenStore` opens. In memory is a batch of records at a time.
    /// - Parameters:
    ///   - reader: The opened source.
    ///   - folder: An empty folder.
    ///   - onError: What happens to broken records, as in `encode(_:onError:orTooLong:limit:into:skipped:)`.
    ///   - listLimit: How many of the records that are left out are kept by name.
    ///   - loop: Runs the encoding; the order of the records is that of the files, whatever the threads do.
    ///   - progress: Is told now and then how many records are done, and how many bytes they have in all.
    /// - Throws: `DatasetProblem`: the first of the source under `stop`; that the folder cannot be written.
    public func store(
        _ reader: DatasetReader, in folder: URL, onError: ErrorPolicy, listLimit: Int = 100_000,
        loop: ParallelLoop, progress: (_ records: Int, _ bytes: Int) -> Void = { _, _ in }
    ) throws(DatasetProblem) {
        let writer = try TokenStoreWriter(folder)
        var summary = EncodingSummary(reader, contextLength: contextLength)
        var skipped: [DatasetProblem] = []
        var records = reader.unparsed().makeIterator()
        var (done, bytes) = (0, 0)
        while let batch = Self.nextBatch(&records) {
            for outcome in coded(batch, reader, loop) {
                switch outcome {
                case .success(let record):
                    summary.add(record.encoded)
                    try writer.append(record.coded)
                case .failure(let problem):
                    guard onError == .skip, problem.isSkippable else { throw problem }
                    summary.skip(problem)
                    if skipped.count < listLimit { skipped.append(problem) }
                    try writer.append(CodedRecord([]))
                }
            }
            done += batch.count
            bytes += batch.reduce(0) { $0 + ((try? $1.get().bytes.count) ?? 0) }
            progress(done, bytes)
        }
        try writer.finish(summary, skipped: skipped)
    }

    private typealias Raw = Result<UnparsedRecord, DatasetProblem>
    private typealias Encoded = (encoded: EncodedRecord, coded: CodedRecord)

    /// Records that keep all threads busy for a while.
    private static func nextBatch(_ records: inout some IteratorProtocol<Raw>) -> [Raw]? {
        var batch: [Raw] = []
        var bytes = 0
        while bytes < 4 << 20, batch.count < 8192, let next = records.next() {
            if case .success(let record) = next { bytes += record.bytes.count }
            batch.append(next)
        }
        return batch.isEmpty ? nil : batch
    }

    private func coded(
        _ batch: [Raw], _ reader: DatasetReader, _ loop: ParallelLoop
    ) -> [Result<Encoded, DatasetProblem>] {
        let piece = 16
        var results = [Result<Encoded, DatasetProblem>?](repeating: nil, count: batch.count)
        results.withUnsafeMutableBufferPointer { results in
            nonisolated(unsafe) let results = results
            loop((batch.count + piece - 1) / piece) { number in
                for at in (number * piece)..<min((number + 1) * piece, batch.count) {
                    // Every thread writes places of its own.
                    results[at] = batch[at].flatMap(reader.record).flatMap(coded)
                }
            }
        }
        return results.compactMap { $0 }
    }

    private func coded(_ record: DatasetRecord) -> Result<Encoded, DatasetProblem> {
        do throws(DatasetProblem) {
            let encoded = try encoded(record)
            return .success((encoded, CodedRecord(encoded.examples)))
        } catch {
            return .failure(error)
        }
    }
}
