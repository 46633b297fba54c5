/// The place of a run in its data: everything a checkpoint must keep to go on with exactly the batches that would
/// have come.
public struct DataCursor: Codable, Sendable, Equatable {
    /// Counted from 0.
    public var epoch: Int
    /// The first micro-batch of the epoch that has not been handed out.
    public var nextBatch: Int

    /// The beginning of the first epoch, unless told otherwise.
    public init(epoch: Int = 0, nextBatch: Int = 0) {
        self.epoch = epoch
        self.nextBatch = nextBatch
    }
}

/// Hands out the micro-batches of a run, one optimiser step's worth at a time, epoch after epoch.
///
/// A window never crosses the end of an epoch: the last one of an epoch may hold fewer micro-batches.
public struct BatchStream: Sendable {
    /// What is handed out.
    public let dataset: EncodedDataset
    /// How epochs are cut into micro-batches.
    public let options: BatchOptions
    /// Micro-batches per optimiser step.
    public let accumulationSteps: Int
    /// How many epochs to hand out; `nil` goes on for ever.
    public let epochs: Int?
    /// Where the next window starts.
    public private(set) var cursor: DataCursor
    /// Tokens of each source in the window that was handed out last.
    public private(set) var windowTokens: [Int]
    private let sourceCounts: [Int]
    private var plan: BatchPlan
    private var plannedEpoch: Int

    /// Opens a stream.
    /// - Parameters:
    ///   - dataset: At least one example.
    ///   - options: How epochs are cut into micro-batches.
    ///   - accumulationSteps: Micro-batches per optimiser step, at least 1.
    ///   - epochs: How many epochs to hand out; `nil` goes on for ever.
    ///   - cursor: Where to start; the one saved in a checkpoint when resuming.
    /// - Throws: `DatasetProblem` if there is nothing to hand out or the cursor does not fit this data.
    public init(
        dataset: EncodedDataset, options: BatchOptions, accumulationSteps: Int, epochs: Int?,
        cursor: DataCursor = DataCursor()
    ) throws(DatasetProblem) {
        precondition(accumulationSteps > 0, "\(accumulationSteps) micro-batches per step")
        let file = dataset.sources.first ?? "data set"
        if dataset.count == 0 { throw DatasetProblem(.empty, file: file) }
        guard cursor.epoch >= 0, cursor.nextBatch >= 0 else {
            throw DatasetProblem(.cursorOutside(cursor, batches: 0), file: file)
        }
        sourceCounts = dataset.sourceRanges.map(\.count)
        windowTokens = sourceCounts.map { _ in 0 }
        plan = BatchPlan(
            lengths: dataset.lengths, sourceCounts: sourceCounts, options: options, epoch: cursor.epoch)
        plannedEpoch = cursor.epoch
        guard cursor.nextBatch <= plan.count else {
            throw DatasetProblem(.cursorOutside(cursor, batches: plan.count), file: file)
        }
        self.dataset = dataset
        self.options = options
        self.accumulationSteps = accumulationSteps
        self.epochs = epochs
        self.cursor = cursor
        if cursor.nextBatch == plan.count { enterEpoch(cursor.epoch + 1) }
    }

    /// The micro-batches of the next optimiser step, or `nil` when all epochs have been handed out.
    ///
    /// The whole window is in memory when this returns, so the number of supervised tokens is known before it starts.
    public mutating func nextWindow() -> [TokenBatch]? {
        if let epochs, cursor.epoch >= epochs { return nil }
        let end = min(cursor.nextBatch + accumulationSteps, plan.count)
        var window: [TokenBatch] = []
        var streamOffset = 0
        windowTokens = sourceCounts.map { _ in 0 }
        for batch in cursor.nextBatch..<end {
            for example in plan[batch] {
                windowTokens[dataset.sourceIndex(of: Int(example))] += Int(dataset.lengths[Int(example)])
            }
            window.append(dataset.batch(of: plan[batch], streamOffset: streamOffset))
            streamOffset += window[window.count - 1].tokenCount
        }
        cursor.nextBatch = end
        if end == plan.count { enterEpoch(cursor.epoch + 1) }
        return window
    }

    /// The same stream at another place.
    public func moved(to cursor: DataCursor) throws(DatasetProblem) -> BatchStream {
        try BatchStream(
            dataset: dataset, options: options, accumulationSteps: accumulationSteps, epochs: epochs, cursor: cursor)
    }

    /// How many windows, that is optimiser steps, an epoch has.
    /// - Complexity: That of planning the epoch, unless it is the current one.
    public func windowsPerEpoch(_ epoch: Int) -> Int {
        let batches = epoch == plannedEpoch ? plan.count : planned(epoch).count
        return (batches + accumulationSteps - 1) / accumulationSteps
    }

    private mutating func enterEpoch(_ epoch: Int) {
        cursor = DataCursor(epoch: epoch)
        if let epochs, epoch >= epochs { return }
        plan = planned(epoch)
        plannedEpoch = epoch
    }

    private func planned(_ epoch: Int) -> BatchPlan {
        BatchPlan(lengths: dataset.lengths, sourceCounts: sourceCounts, options: options, epoch: epoch)
    }
}

extension Array where Element == TokenBatch {
    /// Trained targets of all micro-batches: what the summed gradient of an optimiser step is divided by.
    public var supervisedCount: Int { reduce(0) { $0 + $1.supervisedCount } }
    /// Tokens of all micro-batches.
    public var tokenCount: Int { reduce(0) { $0 + $1.tokenCount } }
}
