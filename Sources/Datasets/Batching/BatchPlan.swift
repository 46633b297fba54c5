/// The micro-batches of one epoch, as lists of example indices; a pure function of lengths, options and epoch.
///
/// Every example stands in exactly one batch, whole; or as often as the weight of its source says.
/// - Complexity: O(n log n) time; memory 4 bytes per example and 8 per batch.
public struct BatchPlan: Sendable, Equatable {
    private let order: [Int32]
    private let offsets: [Int]

    /// How many micro-batches the epoch has.
    public var count: Int { offsets.count - 1 }

    /// The example indices of a micro-batch, in the order in which they are laid out.
    public subscript(batch: Int) -> ArraySlice<Int32> { order[offsets[batch]..<offsets[batch + 1]] }

    /// Plans an epoch.
    /// - Parameters:
    ///   - lengths: Length in tokens of every example.
    ///   - sourceCounts: How many of the examples each source has, in order; `nil` for a single source.
    ///   - options: Size of a micro-batch, packing, shuffle, seed and the weights of the sources.
    ///   - epoch: Counted from 0; each has an order of its own when shuffling.
    public init(lengths: [Int32], sourceCounts: [Int]? = nil, options: BatchOptions, epoch: Int) {
        var generator = SplitMix64(seed: options.seed, stream: UInt64(epoch))
        let counts = sourceCounts ?? [lengths.count]
        precondition(counts.reduce(0, +) == lengths.count, "the sources hold other than \(lengths.count) examples")
        var visiting = Mixture(counts: counts, options: options).indices(epoch: epoch)
        if options.shuffle { generator.shuffle(&visiting) }
        self.init(visiting: visiting, lengths: lengths, options: options, generator: &generator)
    }

    /// Cuts examples into micro-batches.
    /// - Parameters:
    ///   - visiting: Indices of the examples in the order in which they are visited.
    ///   - lengths: Length in tokens of every example.
    ///   - generator: What orders the micro-batches of packed examples.
    init(visiting: [Int32], lengths: [Int32], options: BatchOptions, generator: inout SplitMix64) {
        var batches = Batches(capacity: visiting.count)
        switch options.size {
        case .sequences(let size):
            precondition(size > 0, "a micro-batch of \(size) sequences")
            for start in stride(from: 0, to: visiting.count, by: size) {
                batches.append(visiting[start..<min(start + size, visiting.count)])
            }
        case .tokens(let budget) where options.packing:
            precondition(budget > 0, "a micro-batch of \(budget) tokens")
            for start in stride(from: 0, to: visiting.count, by: Packing.windowSize) {
                let window = visiting[start..<min(start + Packing.windowSize, visiting.count)]
                var packed = Packing(budget: budget).pack(window, lengths: lengths)
                // In order of their first members, well-filled batches of short examples would come early.
                if options.shuffle { generator.shuffle(&packed) }
                for batch in packed { batches.append(batch[...]) }
            }
        case .tokens(let budget):
            precondition(budget > 0, "a micro-batch of \(budget) tokens")
            batches.fillInOrder(visiting, lengths: lengths, budget: budget)
        }
        order = batches.order
        offsets = batches.offsets
    }
}

/// Batches under construction, flat.
private struct Batches {
    var order: [Int32] = []
    var offsets = [0]

    init(capacity: Int) { order.reserveCapacity(capacity) }

    mutating func append(_ batch: ArraySlice<Int32>) {
        order.append(contentsOf: batch)
        offsets.append(order.count)
    }

    /// Takes examples as they come, closing a batch when the next one does not fit.
    mutating func fillInOrder(_ visiting: [Int32], lengths: [Int32], budget: Int) {
        var start = 0
        var used = 0
        for (place, example) in visiting.enumerated() {
            let length = Int(lengths[Int(example)])
            if place > start, used + length > budget {
                append(visiting[start..<place])
                (start, used) = (place, 0)
            }
            used += length
        }
        if start < visiting.count { append(visiting[start...]) }
    }
}
