import Checkpoints
import Crypto
public import Datasets
import Foundation

/// The data of a recipe as tokens: training and validation sets with a report on each.
public struct EncodedData: Sendable {
    /// All training files, one after another.
    public let train: EncodedDataset
    /// One set per validation file.
    public let validation: [EncodedDataset]
    /// What was read: training files first.
    public let summaries: [EncodingSummary]

    /// Reads and encodes every file of the recipe.
    /// - Throws: `DatasetProblem` naming file and line.
    public init(_ recipe: Recipe, base: BaseModel, vocabularySize: Int) throws {
        let encoder = ExampleEncoder(
            tokenizer: base.tokenizer, template: base.template, vocabularySize: vocabularySize,
            options: recipe.encodingOptions)
        var summaries: [EncodingSummary] = []
        func encode(_ source: Recipe.Source, into dataset: inout EncodedDataset) throws {
            let format = source.format.flatMap { DatasetFormat(rawValue: $0.rawValue) }
            let reader = try DatasetReader(path: source.path, format: format)
            summaries.append(try encoder.encode(reader, onError: recipe.errorPolicy, into: &dataset))
        }
        var train = EncodedDataset()
        for source in recipe.data.train { try encode(source, into: &train) }
        var validation: [EncodedDataset] = []
        for source in recipe.data.validation {
            var dataset = EncodedDataset()
            try encode(source, into: &dataset)
            validation.append(dataset)
        }
        (self.train, self.validation, self.summaries) = (train, validation, summaries)
    }

    /// Digest of the training tokens and labels.
    var fingerprint: String {
        var hash = SHA256()
        train.feedFingerprint { hash.update(bufferPointer: $0) }
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
