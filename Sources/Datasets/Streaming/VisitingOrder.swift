/// Which record an epoch visits at which place, computed place by place, so that millions of records need no table.
///
/// Sources count as ``Mixture`` says; with `shuffle` the visits of an epoch come in an order of its own.
struct VisitingOrder: Sendable {
    /// One record of one source.
    struct Visit: Sendable, Equatable {
        let source, record: Int
    }

    /// How many visits the epoch has.
    let count: Int
    private let counts: [Int]
    private let options: BatchOptions
    /// For each source its stretch of the endless row of passes.
    private let stretches: [Range<Int>]
    private let shuffled: Permutation?

    /// - Parameter counts: Records of each source.
    init(counts: [Int], options: BatchOptions, epoch: Int) {
        let mixture = Mixture(counts: counts, options: options)
        stretches = counts.indices.map { mixture.stretch(of: $0, epoch: epoch) }
        count = stretches.reduce(0) { $0 + $1.count }
        (self.counts, self.options) = (counts, options)
        shuffled = options.shuffle
            ? Permutation(count: count, seed: options.seed, stream: Stream.epoch | UInt64(epoch)) : nil
    }

    subscript(place: Int) -> Visit {
        var at = shuffled?[place] ?? place
        var source = 0
        while at >= stretches[source].count {
            at -= stretches[source].count
            source += 1
        }
        return Visit(source: source, record: record(stretches[source].lowerBound + at, of: source))
    }

    /// The record at a place of the endless row of passes through a source. A pass that is cut over epochs has an order
    /// of its own, so that its parts are no blocks of the file.
    private func record(_ at: Int, of source: Int) -> Int {
        let (pass, place) = at.quotientAndRemainder(dividingBy: counts[source])
        let isWhole = stretches[source].lowerBound <= at - place
            && at - place + counts[source] <= stretches[source].upperBound
        if isWhole || !options.shuffle { return place }
        let stream = Stream.pass | UInt64(source) << 32 | UInt64(pass)
        return Permutation(count: counts[source], seed: options.seed, stream: stream)[place]
    }
}

/// Numbers that keep the random sequences of streamed data apart from each other and from those of data in memory,
/// whose streams are below 2⁶¹.
enum Stream {
    static let pass: UInt64 = 1 << 61
    static let epoch: UInt64 = 1 << 62

    /// The sequence of a stretch of an epoch.
    static func stretch(_ stretch: Int, epoch: Int) -> UInt64 { 1 << 63 | UInt64(epoch) << 31 | UInt64(stretch) }
}
