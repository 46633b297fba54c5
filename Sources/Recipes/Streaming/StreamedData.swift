import Checkpoints
import Datasets
import Foundation
import TensorCore
import Tokenization

/// Training data that stay on disk.
///
/// Where the run visits every record (epochs, a long step budget, a search for duplicates, packed files), all sources
/// are tokenised first, once, into the cache. Else only an index is made, and records are tokenised as they are
/// visited. Either way gives the same batches.
struct StreamedData: Sendable {
    let supply: StreamedExamples
    let summaries: [EncodingSummary]
    /// What was left out when the sources were tokenised.
    let skipped: [DatasetProblem]
    /// Receives what is left out while the run goes; `nil` where all records have been looked at.
    let log: SkippedLog?
    /// Validation examples that are trained on too, by validation set.
    let overlaps: [[Int]]
    /// Digest of contents and of everything that decides the tokens.
    let fingerprint: String

    /// How many records of a source are looked at where not all are tokenised first.
    static let sampleSize = 1000
    /// From so many bytes of files data stream from disk.
    static let threshold = 256 << 20

    /// Whether data are too large for memory. A packed file counts fourfold.
    static func isLarge(_ sources: [Recipe.Source]) throws(DatasetProblem) -> Bool {
        var bytes = 0
        for source in sources {
            for path in try DatasetReader.files(at: source.path) {
                let size = DatasetReader.byteCount(path)
                bytes += DatasetReader.isPacked(path) ? 4 * size : size
            }
        }
        return bytes > threshold
    }

    init(
        _ recipe: Recipe, base: BaseModel, encoder: ExampleEncoder, validation: [EncodedDataset], cache: DataCache,
        on compute: Compute, note: (String) -> Void
    ) throws {
        let sources = try recipe.data.train.map { source in
            try StreamedSource(source, recipe, base: base, encoder: encoder, cache: cache)
        }
        fingerprint = FileDigest.sha256(of: Data(sources.map(\.identity.hex).joined(separator: "\n").utf8)).hex
        let options = recipe.batchOptions
        let length = StreamedExamples.stretchLength(maxLength: recipe.data.maxLength, size: options.size)
        let log = SkippedLog()
        if let looked = try Self.looked(at: sources, recipe, log: log, note: note) {
            self.log = log
            supply = StreamedExamples(looked.records, options: options, stretchLength: length)
            (summaries, skipped) = (looked.summaries, [])
            overlaps = validation.map { $0.examples(alsoIn: looked.examples) }
            return
        }
        self.log = nil
        var stores: [TokenStore] = []
        for source in sources { stores.append(try source.tokenized(on: compute, note: note)) }
        if recipe.data.deduplicate { try TokenStore.removeDuplicates(in: &stores) }
        for store in stores { try encoder.check(store.summary) }
        (summaries, skipped) = (stores.map(\.summary), stores.flatMap(\.skipped))
        overlaps = try validation.map { dataset in
            Set(try stores.flatMap { try $0.places(in: dataset) }).sorted()
        }
        supply = StreamedExamples(stores, options: options, stretchLength: length)
    }

    private struct Looked {
        var records: [IndexedRecords] = []
        var summaries: [EncodingSummary] = []
        var examples = EncodedDataset()
        /// Tokens and examples of an epoch, by the sample.
        var (tokens, visits) = (0.0, 0.0)
    }

    /// A look at the sources where the run will not visit all of them; `nil` where it will, or where they are tokenised
    /// already.
    private static func looked(
        at sources: [StreamedSource], _ recipe: Recipe, log: SkippedLog, note: (String) -> Void
    ) throws -> Looked? {
        guard let steps = recipe.training.steps, !recipe.data.deduplicate, sources.allSatisfy(\.canBeIndexed),
            !sources.allSatisfy(\.isTokenized)
        else { return nil }
        var looked = Looked()
        for source in sources {
            let records = try source.indexed(note: note) { log.add($0) }
            let (summary, examples) = try records.sample(sampleSize)
            try source.encoder.check(summary)
            looked.records.append(records)
            looked.summaries.append(summary)
            looked.examples.append(contentsOf: examples)
            let perSampled = Double(records.recordCount) * source.weight / Double(max(1, summary.records + summary.skipped))
            looked.tokens += perSampled * Double(summary.tokens)
            looked.visits += perSampled * Double(summary.examples)
        }
        let batches = Double(steps) * Double(recipe.training.gradientAccumulationSteps)
        let isPart =
            switch recipe.training.microBatch {
            case .tokens(let count): batches * Double(count) < looked.tokens
            case .sequences(let count): batches * Double(count) < looked.visits
            }
        if isPart {
            note("the \(steps) steps visit a part of the data, which are tokenised as they go; checked beforehand, and compared with validation data, was a sample of up to \(sampleSize) records of each source")
        }
        return isPart ? looked : nil
    }
}
