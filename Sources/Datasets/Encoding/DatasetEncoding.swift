extension ExampleEncoder {
    /// Encodes a whole file.
    /// - Parameters:
    ///   - reader: The opened file.
    ///   - onError: What happens to broken records. Problems that leaving out one record does not solve (no
    ///     tokenizer, no end token, a record over `max_length` under `truncation: error`) stop in any case.
    ///   - tooLong: Whether records over `max_length` under `truncation: error` are left out and counted, too.
    ///   - limit: How many records are looked at; `nil` takes all.
    ///   - dataset: Where the examples go, behind those of files encoded before.
    ///   - skipped: Is told of every record that is left out.
    /// - Returns: Counts, lengths and the first problems, for a report.
    /// - Throws: `DatasetProblem`: the first one under `stop`; under either policy one that leaving out a record does
    ///   not solve. What only the whole file shows is left to ``check(_:)``.
    public func encode(
        _ reader: DatasetReader, onError: ErrorPolicy = .stop, orTooLong tooLong: Bool = false, limit: Int? = nil,
        into dataset: inout EncodedDataset,
        skipped: (DatasetProblem) -> Void = { _ in }
    ) throws(DatasetProblem) -> EncodingSummary {
        var summary = EncodingSummary(reader, contextLength: contextLength)
        dataset.beginSource(reader.path)
        var left = limit ?? .max
        for result in reader.records() {
            if left == 0 {
                summary.isWhole = false
                break
            }
            left -= 1
            do throws(DatasetProblem) {
                let encoded = try encoded(try result.get())
                summary.add(encoded)
                for example in encoded.examples { dataset.append(example) }
            } catch {
                guard onError == .skip, error.isSkippable || tooLong && error.isTooLong else { throw error }
                summary.skip(error)
                skipped(error)
            }
        }
        return summary
    }

    /// What only the whole data show: refuses data of which nothing is left, a field that is read from a key of no
    /// record, and conversations that are trained in full
    /// although only answers should be.
    public func check(_ summary: EncodingSummary) throws(DatasetProblem) {
        guard summary.records > 0 else {
            let first = summary.firstProblems.first?.description
            throw DatasetProblem(
                .nothingLeft(skipped: summary.skipped, dropped: summary.dropped, first: first), file: summary.source)
        }
        if summary.isWhole, let (key, name) = summary.fieldWithoutValues {
            throw DatasetProblem(.fieldNowhere(key, name: name), file: summary.source)
        }
        let isMasked = summary.format.usesTemplate && options.trainOn != .all
        if isMasked, summary.supervisedTokens == summary.tokens - summary.examples {
            throw DatasetProblem(.everythingSupervised, file: summary.source)
        }
    }
}
