/// The place of a run in its data: everything a checkpoint must keep to go on with exactly the batches that would
/// have come.
public struct DataCursor: Codable, Sendable, Equatable {
    /// Counted from 0.
    public var epoch: Int
    /// The stretch of the epoch, counted from 0; data in memory are a single one.
    public var stretch: Int
    /// The first micro-batch of the stretch that has not been handed out.
    public var nextBatch: Int

    /// The beginning of the first epoch, unless told otherwise.
    public init(epoch: Int = 0, stretch: Int = 0, nextBatch: Int = 0) {
        self.epoch = epoch
        self.stretch = stretch
        self.nextBatch = nextBatch
    }

    /// Reads a cursor; one without a stretch is of a time when all data were in memory.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        epoch = try container.decode(Int.self, forKey: .epoch)
        stretch = try container.decodeIfPresent(Int.self, forKey: .stretch) ?? 0
        nextBatch = try container.decode(Int.self, forKey: .nextBatch)
    }

    /// Writes a cursor, that of data in memory as it always was: checksums of older checkpoints stay right.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(epoch, forKey: .epoch)
        if stretch != 0 { try container.encode(stretch, forKey: .stretch) }
        try container.encode(nextBatch, forKey: .nextBatch)
    }

    private enum CodingKeys: String, CodingKey { case epoch, stretch, nextBatch }
}

/// Hands out the micro-batches of a run, one optimiser step's worth at a time, epoch after epoch.
///
/// A window never crosses the end of an epoch: the last one of an epoch may hold fewer micro-batches.
public struct BatchStream: Sendable {
    /// Where the examples come from.
    public let supply: any ExampleSupply
    /// Micro-batches per optimiser step.
    public let accumulationSteps: Int
    /// How many epochs to hand out; `nil` goes on for ever.
    public let epochs: Int?
    /// Where the next window starts.
    public private(set) var cursor: DataCursor
    /// Tokens of each source in the window that was handed out last.
    public private(set) var windowTokens: [Int]
    /// That of the cursor.
    private var stretch: Stretch

    /// Opens a stream over data in memory.
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
    ) throws {
        try self.init(
            supply: dataset.supply(options), accumulationSteps: accumulationSteps, epochs: epochs, cursor: cursor)
    }

    /// Opens a stream.
    /// - Parameters:
    ///   - supply: Where the examples come from.
    ///   - accumulationSteps: Micro-batches per optimiser step, at least 1.
    ///   - epochs: How many epochs to hand out; `nil` goes on for ever.
    ///   - cursor: Where to start; the one saved in a checkpoint when resuming.
    /// - Throws: `DatasetProblem` if there is nothing to hand out or the cursor does not fit this data; what the supply
    ///   throws.
    public init(
        supply: any ExampleSupply, accumulationSteps: Int, epochs: Int?, cursor: DataCursor = DataCursor()
    ) throws {
        precondition(accumulationSteps > 0, "\(accumulationSteps) micro-batches per step")
        let file = supply.sources.first ?? "data set"
        guard cursor.epoch >= 0, cursor.stretch >= 0, cursor.nextBatch >= 0,
            cursor.stretch < supply.stretchCount(epoch: cursor.epoch)
        else { throw DatasetProblem(.cursorOutside(cursor, batches: 0), file: file) }
        stretch = try supply.stretch(cursor.stretch, epoch: cursor.epoch)
        guard cursor.nextBatch <= stretch.plan.count else {
            throw DatasetProblem(.cursorOutside(cursor, batches: stretch.plan.count), file: file)
        }
        self.supply = supply
        self.accumulationSteps = accumulationSteps
        self.epochs = epochs
        self.cursor = cursor
        windowTokens = supply.sources.map { _ in 0 }
        try findBatch()
    }

    /// The files the examples come from.
    public var sources: [String] { supply.sources }

    /// The micro-batches of the next optimiser step, or `nil` when all epochs have been handed out.
    ///
    /// The whole window is in memory when this returns, so the number of supervised tokens is known before it starts.
    /// - Throws: What the supply throws: a record that cannot be read or used.
    public mutating func nextWindow() throws -> [TokenBatch]? {
        if isAtEnd { return nil }
        let epoch = cursor.epoch
        var window: [TokenBatch] = []
        var streamOffset = 0
        windowTokens = sources.map { _ in 0 }
        while window.count < accumulationSteps, cursor.epoch == epoch {
            let (examples, chosen) = (stretch.examples, stretch.plan[cursor.nextBatch])
            for example in chosen {
                windowTokens[examples.sourceIndex(of: Int(example))] += Int(examples.lengths[Int(example)])
            }
            window.append(examples.batch(of: chosen, streamOffset: streamOffset))
            streamOffset += window[window.count - 1].tokenCount
            cursor.nextBatch += 1
            try findBatch()
        }
        return window
    }

    /// The same stream at another place.
    public func moved(to cursor: DataCursor) throws -> BatchStream {
        try BatchStream(supply: supply, accumulationSteps: accumulationSteps, epochs: epochs, cursor: cursor)
    }

    /// How many windows, that is optimiser steps, an epoch has.
    /// - Complexity: That of planning the epoch, unless it is the current one and in memory.
    public func windowsPerEpoch(_ epoch: Int) throws -> Int {
        let stretches = supply.stretchCount(epoch: epoch)
        var batches = 0
        for number in 0..<stretches {
            let isCurrent = stretches == 1 && epoch == cursor.epoch && !isAtEnd
            batches += isCurrent ? stretch.plan.count : try supply.batchCount(ofStretch: number, epoch: epoch)
        }
        return (batches + accumulationSteps - 1) / accumulationSteps
    }

    private var isAtEnd: Bool { epochs.map { cursor.epoch >= $0 } ?? false }

    /// Moves the cursor on to the next micro-batch that there is: into the next stretch or epoch, if need be.
    private mutating func findBatch() throws {
        var emptyEpochs = 0
        while cursor.nextBatch >= stretch.plan.count {
            if cursor.stretch + 1 < supply.stretchCount(epoch: cursor.epoch) {
                cursor = DataCursor(epoch: cursor.epoch, stretch: cursor.stretch + 1)
            } else {
                cursor = DataCursor(epoch: cursor.epoch + 1)
                if isAtEnd { return }
                emptyEpochs += 1
                // Two ends of an epoch without a micro-batch between them.
                if emptyEpochs > 1 {
                    throw DatasetProblem(
                        .nothingLeft(skipped: 0, dropped: 0, first: nil), file: sources.first ?? "data set")
                }
            }
            stretch = try supply.stretch(cursor.stretch, epoch: cursor.epoch)
        }
    }
}

extension Array where Element == TokenBatch {
    /// Trained targets of all micro-batches.
    public var supervisedCount: Int { reduce(0) { $0 + $1.supervisedCount } }
    /// How much they count together: their number, or the sum of their weights. What the summed
    /// gradient of an optimiser step is divided by.
    public var supervisedWeight: Double { reduce(0) { $0 + $1.supervisedWeight } }
    /// Tokens of all micro-batches.
    public var tokenCount: Int { reduce(0) { $0 + $1.tokenCount } }
}
