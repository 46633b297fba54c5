import Foundation

/// Fills a folder that ``TokenStore`` reads.
final class TokenStoreWriter {
    private let folder: URL
    private let tokens, index, hashes: GrowingFile
    private var checksum = IndexChecksum()
    private var records = 0
    private var examples = 0

    init(_ folder: URL) throws(DatasetProblem) {
        self.folder = folder
        tokens = try GrowingFile(creating: folder.appendingPathComponent(TokenStore.tokensFile).path)
        index = try GrowingFile(creating: folder.appendingPathComponent(TokenStore.indexFile).path)
        hashes = try GrowingFile(creating: folder.appendingPathComponent(TokenStore.hashesFile).path)
    }

    /// Appends what became of a record.
    func append(_ record: CodedRecord) throws(DatasetProblem) {
        try appendEntry(tokens: record.tokens)
        try tokens.append(record.words)
        try hashes.append(record.hashes)
        records += 1
        examples += record.hashes.count / 2
        guard examples <= UInt32.max else {
            throw DatasetProblem(.unwritable(reason: "it has more than \(UInt32.max) examples"), file: folder.path)
        }
    }

    /// Completes the folder.
    func finish(_ summary: EncodingSummary, skipped: [DatasetProblem]) throws(DatasetProblem) {
        try appendEntry(tokens: 0)
        for file in [tokens, index, hashes] { try file.flush() }
        let manifest = TokenStore.Manifest(
            summary: summary, skipped: skipped, records: records, examples: examples, tokenBytes: tokens.count,
            indexChecksum: checksum.value)
        do {
            try JSONEncoder().encode(manifest).write(to: folder.appendingPathComponent(TokenStore.manifestFile))
        } catch {
            throw DatasetProblem(.unwritable(reason: error.localizedDescription), file: folder.path)
        }
    }

    private func appendEntry(tokens count: Int) throws(DatasetProblem) {
        let entry = TokenStore.Entry(
            offset: UInt64(tokens.count), firstExample: UInt32(examples), tokens: UInt32(clamping: count))
        let offset = entry.offset
        checksum.add([
            UInt32(truncatingIfNeeded: offset), UInt32(truncatingIfNeeded: offset >> 32), entry.firstExample,
            entry.tokens,
        ])
        try index.append([entry])
    }
}

/// The examples of a record, ready to be written.
struct CodedRecord: Sendable {
    let words: [UInt32]
    /// Two for each example.
    let hashes: [ExampleHash]
    let tokens: Int

    init(_ examples: [EncodedExample]) {
        words = RecordCoding.words(examples)
        hashes = examples.flatMap { [ExampleHash($0, .ids), ExampleHash($0, .all)] }
        tokens = examples.reduce(0) { $0 + $1.ids.count }
    }
}
