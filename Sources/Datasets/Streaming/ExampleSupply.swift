/// Hands out the examples of an epoch stretch by stretch, each with its cut into micro-batches.
///
/// What is in memory is one stretch, the whole data set. What streams from disk are many, each small enough to be held
/// and packed by itself. Equal supplies give equal stretches, whenever and however often they are asked.
public protocol ExampleSupply: Sendable {
    /// The files the examples come from.
    var sources: [String] { get }
    /// How many stretches an epoch has, at least 1.
    func stretchCount(epoch: Int) -> Int
    /// A stretch; it may turn out empty where records are skipped.
    func stretch(_ number: Int, epoch: Int) throws -> Stretch
    /// How many micro-batches a stretch has.
    func batchCount(ofStretch number: Int, epoch: Int) throws -> Int
}

/// Some examples, and how they are cut into micro-batches.
public struct Stretch: Sendable {
    /// The examples; `EncodedDataset.sources` are those of the supply.
    public let examples: EncodedDataset
    /// Micro-batches of indices into them.
    public let plan: BatchPlan

    /// Examples with a plan for them.
    public init(examples: EncodedDataset, plan: BatchPlan) {
        self.examples = examples
        self.plan = plan
    }
}

/// A data set that is in memory.
struct ExamplesInMemory: ExampleSupply {
    let dataset: EncodedDataset
    let options: BatchOptions

    var sources: [String] { dataset.sources }

    func stretchCount(epoch: Int) -> Int { 1 }

    func stretch(_ number: Int, epoch: Int) -> Stretch { Stretch(examples: dataset, plan: plan(epoch)) }

    func batchCount(ofStretch number: Int, epoch: Int) -> Int { plan(epoch).count }

    private func plan(_ epoch: Int) -> BatchPlan {
        BatchPlan(
            lengths: dataset.lengths, sourceCounts: dataset.sourceRanges.map(\.count), options: options, epoch: epoch)
    }
}

extension EncodedDataset {
    /// This data set for a `BatchStream`.
    /// - Throws: `DatasetProblem` if it holds no example.
    public func supply(_ options: BatchOptions) throws(DatasetProblem) -> any ExampleSupply {
        if count == 0 { throw DatasetProblem(.empty, file: sources.first ?? "data set") }
        return ExamplesInMemory(dataset: self, options: options)
    }
}
