import Checkpoints
import Crypto
public import Datasets
import Foundation
import TensorCore

/// The data of a recipe as tokens: training and validation sets with a report on each.
public struct EncodedData: Sendable {
    /// All training sources, one after another; empty where they stay on disk.
    public private(set) var train = EncodedDataset()
    /// The training sources where they stay on disk.
    private(set) var streamed: StreamedData?
    /// One set per validation source.
    public private(set) var validation: [EncodedDataset] = []
    /// What was read: training sources first.
    public private(set) var summaries: [EncodingSummary] = []
    /// Validation examples that are trained on too, by validation source: places, and how many there are.
    public private(set) var overlaps: [Overlap] = []
    /// The records left out under `on_error: skip`, as far as they are kept.
    public private(set) var skipped: [DatasetProblem] = []
    /// Why a run on these data is refused; `nil` if it is not. Only data that were read for a look hold a reason.
    public private(set) var refusal: DatasetProblem?

    /// Validation examples that are trained on too.
    public struct Overlap: Sendable, Equatable {
        /// The validation source.
        public let source: String
        /// How many of its examples stand in the training data, and how many it has.
        public let examples, of: Int
        /// Lines of the first of them.
        public let firstLines: [Int]

        /// One sentence.
        public var description: String {
            "\(source): \(examples) of \(of) validation examples also stand in the training data (the first on line \(firstLines.first ?? 0)), so that the validation loss says less than it seems to"
        }
    }

    /// How many skipped records are listed; beyond, they are only counted.
    public static let listLimit = 100_000

    /// How many records of each source are looked at where the data are too large for memory.
    public static let lookLimit = 10_000

    /// Whether the training data of a recipe stay on disk.
    public static func stream(_ recipe: Recipe) throws(DatasetProblem) -> Bool {
        switch recipe.data.streaming {
        case .automatic: try StreamedData.isLarge(recipe.data.train)
        case .always: true
        case .never: false
        }
    }

    /// What the data are read for.
    public enum Purpose: Sendable, Equatable {
        /// For a run: the first problem that the recipe does not want skipped is thrown.
        case run
        /// For a look at them: problems of records and refusals are collected; at most so many records of each source.
        case look(records: Int?)
    }

    /// Reads and encodes every source of the recipe.
    /// - Throws: `DatasetProblem` naming file and line.
    public init(_ recipe: Recipe, base: BaseModel, vocabularySize: Int?, for purpose: Purpose = .run) throws {
        let encoder = Self.encoder(recipe, base, vocabularySize)
        var purpose = purpose
        if purpose == .look(records: nil), try Self.stream(recipe) { purpose = .look(records: Self.lookLimit) }
        let reading = Reading(encoder: encoder, onError: recipe.data.onError, purpose: purpose)
        for source in recipe.data.train { try read(source, reading, into: \.train) }
        if recipe.data.deduplicate {
            for (source, removed) in train.removeDuplicates().enumerated() { summaries[source].duplicates = removed }
        }
        try readValidation(recipe, reading)
        for dataset in validation { note(dataset.examples(alsoIn: train), in: dataset) }
    }

    /// Prepares training sources that stay on disk, and reads the validation sources.
    /// - Throws: `DatasetProblem` naming file and line.
    init(
        streaming recipe: Recipe, base: BaseModel, vocabularySize: Int?, cache: DataCache, on compute: Compute,
        note: (String) -> Void
    ) throws {
        let encoder = Self.encoder(recipe, base, vocabularySize)
        try readValidation(recipe, Reading(encoder: encoder, onError: recipe.data.onError, purpose: .run))
        let streamed = try StreamedData(
            recipe, base: base, encoder: encoder, validation: validation, cache: cache, on: compute, note: note)
        for (dataset, known) in zip(validation, streamed.overlaps) { self.note(known, in: dataset) }
        summaries = streamed.summaries + summaries
        skipped = streamed.skipped + skipped
        self.streamed = streamed
    }

    private static func encoder(_ recipe: Recipe, _ base: BaseModel, _ vocabularySize: Int?) -> ExampleEncoder {
        ExampleEncoder(
            tokenizer: base.tokenizer, template: base.template, vocabularySize: vocabularySize,
            contextLength: base.contextLength, options: recipe.encodingOptions)
    }

    /// The training sources, as the recipe names them.
    public var trainSources: [String] { streamed?.supply.sources ?? train.sources }

    /// Tokens and trained tokens of the training data, at most.
    var trainSize: (tokens: Int, supervised: Int) {
        streamed == nil ? (train.tokenCount, train.supervisedCount) : (.max, .max)
    }

    /// Tokens of the longest training example, at most.
    func longest(_ recipe: Recipe) -> Int {
        streamed == nil ? Int(train.lengths.max() ?? 0) : recipe.data.maxLength
    }

    /// What a run is given.
    func supply(_ recipe: Recipe) throws -> any ExampleSupply {
        try streamed?.supply ?? train.supply(recipe.batchOptions)
    }

    private mutating func readValidation(_ recipe: Recipe, _ reading: Reading) throws(DatasetProblem) {
        for source in recipe.data.validation {
            validation.append(EncodedDataset())
            try read(source, reading, into: \.validation[validation.count - 1])
        }
    }

    private struct Reading {
        let encoder: ExampleEncoder
        let onError: ErrorPolicy
        let purpose: Purpose
    }

    private mutating func read(
        _ source: Recipe.Source, _ reading: Reading, into dataset: WritableKeyPath<EncodedData, EncodedDataset>
    ) throws(DatasetProblem) {
        let reader = try DatasetReader(path: source.path, format: source.format, fields: source.fields)
        var (encoded, problems) = (self[keyPath: dataset], skipped)
        self[keyPath: dataset] = EncodedDataset()
        let isLook = reading.purpose != .run
        var limit: Int?
        if case .look(let records) = reading.purpose { limit = records }
        var summary = try reading.encoder.encode(
            reader, onError: isLook ? .skip : reading.onError, orTooLong: isLook, limit: limit, into: &encoded
        ) { if problems.count < Self.listLimit { problems.append($0) } }
        self[keyPath: dataset] = encoded
        summary.stopsAtBrokenRecords = reading.onError == .stop
        (skipped, summaries) = (problems, summaries + [summary])
        do throws(DatasetProblem) {
            let refused = problems.suffix(summary.skipped).first { reading.onError == .stop || !$0.isSkippable }
            if isLook, let refused { throw refused }
            try reading.encoder.check(summary)
        } catch {
            guard isLook else { throw error }
            refusal = refusal ?? error
        }
    }

    /// Notes validation examples that are trained on.
    private mutating func note(_ known: [Int], in dataset: EncodedDataset) {
        guard !known.isEmpty else { return }
        overlaps.append(
            Overlap(
                source: dataset.sources.first ?? "", examples: known.count, of: dataset.count,
                firstLines: known.prefix(EncodingSummary.listLimit).map { dataset[$0].line }))
    }

    /// Digest of the training tokens and labels, or of what decides them.
    var fingerprint: String {
        if let streamed { return streamed.fingerprint }
        var hash = SHA256()
        train.feedFingerprint { hash.update(bufferPointer: $0) }
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Writes `skipped.jsonl`, a line with `file`, `line` and `reason` for each record left out; nothing if there are
    /// none.
    func writeSkipped(to folder: URL) throws {
        if skipped.isEmpty {
            try streamed?.log?.open(in: folder)
            return
        }
        var text = ""
        for problem in skipped { text += problem.listEntry + "\n" }
        let count = summaries.reduce(0) { $0 + $1.skipped }
        if count > skipped.count { text += #"{"more": \#(count - skipped.count)}"# + "\n" }
        try AtomicFile.write(Data(text.utf8), to: folder.appendingPathComponent("skipped.jsonl"))
    }
}
