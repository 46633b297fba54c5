import Foundation

/// Examples that stay on disk: each stretch is the records of the next few thousand places of the epoch's order, read
/// while the one before is trained on.
///
/// Stretches and their cut into micro-batches depend on the records, the options and the stretch's length alone.
/// - Complexity: Memory for two stretches, however many records there are.
public final class StreamedExamples: ExampleSupply {
    private let stores: [any RecordStore]
    private let options: BatchOptions
    /// How many places of the order make a stretch.
    public let stretchLength: Int
    private let ahead = Ahead()

    /// Examples of several sources.
    /// - Parameters:
    ///   - stores: The sources, each with a record at least.
    ///   - options: How stretches are cut into micro-batches; weights and order of the sources.
    ///   - stretchLength: Records of a stretch; more give better packing and take more memory.
    public init(_ stores: [any RecordStore], options: BatchOptions, stretchLength: Int) {
        precondition(stretchLength > 0, "stretches of \(stretchLength) records")
        (self.stores, self.options, self.stretchLength) = (stores, options, stretchLength)
    }

    /// A length that keeps a stretch near 4 million tokens at most, but gives every micro-batch a choice of examples.
    public static func stretchLength(maxLength: Int, size: BatchOptions.Size) -> Int {
        let held = max(64, min(4096, (1 << 22) / max(1, maxLength)))
        switch size {
        case .sequences(let count): return max(held / count, 16) * count
        case .tokens(let budget): return max(held, 64 * budget / max(1, maxLength))
        }
    }

    public var sources: [String] { stores.map(\.source) }

    public func stretchCount(epoch: Int) -> Int {
        max(1, (order(epoch).count + stretchLength - 1) / stretchLength)
    }

    public func stretch(_ number: Int, epoch: Int) throws -> Stretch {
        let wanted = Ahead.Key(epoch: epoch, stretch: number)
        let stretch = try ahead.take(wanted)?.get() ?? load(wanted)
        let isLast = number + 1 >= stretchCount(epoch: epoch)
        let next = isLast ? Ahead.Key(epoch: epoch + 1, stretch: 0) : Ahead.Key(epoch: epoch, stretch: number + 1)
        ahead.start(next) { [self] in try load(next) }
        return stretch
    }

    public func batchCount(ofStretch number: Int, epoch: Int) throws -> Int {
        var lengths: [Int32] = []
        for visit in visits(number, order(epoch)) { lengths += try stores[visit.source].lengths(of: visit.record) }
        return plan(Array(0..<Int32(lengths.count)), lengths, number, epoch).count
    }

    private func order(_ epoch: Int) -> VisitingOrder {
        VisitingOrder(counts: stores.map(\.recordCount), options: options, epoch: epoch)
    }

    private func visits(_ number: Int, _ order: VisitingOrder) -> [VisitingOrder.Visit] {
        let start = min(number * stretchLength, order.count)
        return (start..<min(start + stretchLength, order.count)).map { order[$0] }
    }

    private func plan(_ visiting: [Int32], _ lengths: [Int32], _ number: Int, _ epoch: Int) -> BatchPlan {
        var generator = SplitMix64(seed: options.seed, stream: Stream.stretch(number, epoch: epoch))
        return BatchPlan(visiting: visiting, lengths: lengths, options: options, generator: &generator)
    }

    /// Reads the records in the order in which they lie on disk, and plans in the order in which they are visited.
    private func load(_ key: Ahead.Key) throws -> Stretch {
        let visits = visits(key.stretch, order(key.epoch))
        let byPlaceOnDisk = visits.indices.sorted {
            (visits[$0].source, visits[$0].record, $0) < (visits[$1].source, visits[$1].record, $1)
        }
        var examples = EncodedDataset()
        var ranges = visits.map { _ in 0..<Int32(0) }
        for store in stores.indices {
            examples.beginSource(stores[store].source)
            for place in byPlaceOnDisk where visits[place].source == store {
                let start = Int32(examples.count)
                for example in try stores[store].examples(of: visits[place].record) { examples.append(example) }
                ranges[place] = start..<Int32(examples.count)
            }
        }
        let visiting = ranges.flatMap { Array($0) }
        return Stretch(examples: examples, plan: plan(visiting, examples.lengths, key.stretch, key.epoch))
    }
}

/// The stretch that a thread of its own reads ahead; one at a time.
private final class Ahead: @unchecked Sendable {
    // `@unchecked`: `pending` is guarded by the lock, a result is read after its thread has signalled the end.
    struct Key: Equatable, Sendable {
        let epoch, stretch: Int
    }

    private final class Work: @unchecked Sendable {
        let key: Key
        let done = DispatchSemaphore(value: 0)
        var result: Result<Stretch, any Error>?

        init(_ key: Key) { self.key = key }
    }

    private let lock = NSLock()
    private var pending: Work?

    /// What was read ahead, if it is this; waits for it. What was read for somebody else is forgotten.
    func take(_ key: Key) -> Result<Stretch, any Error>? {
        let work = lock.withLock {
            defer { pending = nil }
            return pending
        }
        guard let work, work.key == key else { return nil }
        work.done.wait()
        return work.result
    }

    func start(_ key: Key, _ load: @escaping @Sendable () throws -> Stretch) {
        let work = Work(key)
        lock.withLock { pending = work }
        let thread = Thread {
            work.result = Result { try load() }
            work.done.signal()
        }
        thread.stackSize = 8 << 20
        thread.start()
    }
}
