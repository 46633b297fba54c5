extension ExampleEncoder {
    /// Encodes a whole file.
    /// - Parameters:
    ///   - reader: The opened file.
    ///   - onError: What happens to broken records. Problems that leaving out one record does not solve (no
    ///     tokenizer, no end token, a record over `max_length` under `truncation: error`) stop in any case.
    ///   - dataset: Where the examples go, behind those of files encoded before.
    /// - Returns: Counts, lengths and the first problems, for a report.
    /// - Throws: `DatasetProblem`: the first one under `stop`; under either policy if no record is left, or if
    ///   conversations are trained in full though only answers should be.
    public func encode(
        _ reader: DatasetReader, onError: ErrorPolicy = .stop, into dataset: inout EncodedDataset
    ) throws(DatasetProblem) -> EncodingSummary {
        var summary = EncodingSummary(
            source: reader.path, format: reader.format, formatWasDetected: reader.formatWasDetected)
        dataset.beginSource(reader.path)
        for result in reader.records() {
            do throws(DatasetProblem) {
                let record = try result.get()
                let outcome = try encode(record)
                summary.add(outcome, place: "\(record.file):\(record.line)")
                switch outcome {
                case .encoded(let example), .truncated(let example, _): dataset.append(example)
                case .dropped: break
                }
            } catch {
                guard onError == .skip, error.isSkippable else { throw error }
                summary.skip(error)
            }
        }
        try check(summary)
        return summary
    }

    /// What only the whole file shows.
    private func check(_ summary: EncodingSummary) throws(DatasetProblem) {
        guard summary.records > 0 else {
            let first = summary.firstProblems.first?.description
            throw DatasetProblem(
                .nothingLeft(skipped: summary.skipped, dropped: summary.dropped, first: first), file: summary.source)
        }
        let isMasked = summary.format == .chat && options.trainOn != .all
        if isMasked, summary.supervisedTokens == summary.tokens - summary.records {
            throw DatasetProblem(.everythingSupervised, file: summary.source)
        }
    }
}
