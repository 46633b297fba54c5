import Checkpoints
import Crypto
public import Datasets
import Foundation
import Tokenization

/// The data of a recipe as tokens: training and validation sets with a report on each.
public struct EncodedData: Sendable {
    /// All training sources, one after another.
    public private(set) var train = EncodedDataset()
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
        let encoder = ExampleEncoder(
            tokenizer: base.tokenizer, template: base.template, vocabularySize: vocabularySize,
            options: recipe.encodingOptions)
        let reading = Reading(encoder: encoder, onError: recipe.data.onError, purpose: purpose)
        for source in recipe.data.train { try read(source, reading, into: \.train) }
        if recipe.data.deduplicate {
            for (source, removed) in train.removeDuplicates().enumerated() { summaries[source].duplicates = removed }
        }
        for source in recipe.data.validation {
            validation.append(EncodedDataset())
            try read(source, reading, into: \.validation[validation.count - 1])
        }
        for dataset in validation { compare(dataset) }
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
        let summary = try reading.encoder.encode(
            reader, onError: isLook ? .skip : reading.onError, orTooLong: isLook, limit: limit, into: &encoded
        ) { if problems.count < Self.listLimit { problems.append($0) } }
        self[keyPath: dataset] = encoded
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
    private mutating func compare(_ dataset: EncodedDataset) {
        let known = dataset.examples(alsoIn: train)
        guard !known.isEmpty else { return }
        overlaps.append(
            Overlap(
                source: dataset.sources.first ?? "", examples: known.count, of: dataset.count,
                firstLines: known.prefix(EncodingSummary.listLimit).map { dataset[$0].line }))
    }

    /// Digest of the training tokens and labels.
    var fingerprint: String {
        var hash = SHA256()
        train.feedFingerprint { hash.update(bufferPointer: $0) }
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Writes `skipped.jsonl`, a line with `file`, `line` and `reason` for each record left out; nothing if there are
    /// none.
    func writeSkipped(to folder: URL) throws {
        if skipped.isEmpty { return }
        var text = ""
        for problem in skipped {
            let entry: JSONObject = [
                "file": .string(problem.file), "line": problem.line.map { .integer($0) } ?? .null,
                "reason": .string("\(problem.kind.found); \(problem.kind.remedy)"),
            ]
            text += JSONValue.object(entry).serialized(pretty: false) + "\n"
        }
        let count = summaries.reduce(0) { $0 + $1.skipped }
        if count > skipped.count { text += #"{"more": \#(count - skipped.count)}"# + "\n" }
        try AtomicFile.write(Data(text.utf8), to: folder.appendingPathComponent("skipped.jsonl"))
    }
}
