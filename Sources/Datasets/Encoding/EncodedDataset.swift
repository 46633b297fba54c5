/// Encoded examples of one or more sources, held flat: eight bytes per token and sixteen per example.
public struct EncodedDataset: Sendable {
    /// The files the examples came from, in order.
    public private(set) var sources: [String] = []
    /// Length in tokens of every example, shape [examples].
    public private(set) var lengths: [Int32] = []

    private var ids: [Int32] = []
    private var labels: [Int32] = []
    /// Aligned with `ids`, or empty while no example has weights.
    private var weights: [Float] = []
    /// Where each example starts in `ids`, and at last the number of tokens.
    private var offsets = [0]
    private var lines: [Int32] = []
    /// Where the examples of each source start.
    private var sourceStarts: [Int] = []

    /// An empty data set.
    public init() {}

    /// A data set of examples that a program made itself.
    /// - Parameters:
    ///   - examples: In order.
    ///   - source: What to call their origin.
    public init(_ examples: [EncodedExample], source: String = "memory") {
        beginSource(source)
        for example in examples { append(example) }
    }

    /// How many examples there are.
    public var count: Int { lengths.count }
    /// How many tokens all examples have together.
    public var tokenCount: Int { ids.count }
    /// How many tokens are trained when every example is visited once.
    public var supervisedCount: Int { labels.reduce(0) { $0 + ($1 == TokenBatch.ignoredLabel ? 0 : 1) } }

    /// One example.
    public subscript(index: Int) -> EncodedExample {
        let range = offsets[index]..<offsets[index + 1]
        return EncodedExample(
            ids: Array(ids[range]), labels: Array(labels[range]), weights: weights(of: index).map(Array.init),
            line: Int(lines[index]))
    }

    /// The ids and labels of an example, without a copy.
    func ids(of index: Int) -> ArraySlice<Int32> { ids[offsets[index]..<offsets[index + 1]] }
    func labels(of index: Int) -> ArraySlice<Int32> { labels[offsets[index]..<offsets[index + 1]] }

    /// The weights of an example; `nil` where each trained token counts 1.
    func weights(of index: Int) -> ArraySlice<Float>? {
        if weights.isEmpty { return nil }
        let weights = weights[offsets[index]..<offsets[index + 1]]
        return weights.allSatisfy { $0 == 1 } ? nil : weights
    }

    /// The examples of each source.
    public var sourceRanges: [Range<Int>] {
        sourceStarts.indices.map { sourceStarts[$0]..<($0 + 1 < sourceStarts.count ? sourceStarts[$0 + 1] : count) }
    }

    /// The position in `sources` of the file an example came from.
    public func sourceIndex(of index: Int) -> Int { sourceStarts.lastIndex { $0 <= index } ?? 0 }

    /// The file an example came from.
    public func source(of index: Int) -> String { sources[sourceIndex(of: index)] }

    /// Says where the examples that follow come from.
    public mutating func beginSource(_ name: String) {
        sources.append(name)
        sourceStarts.append(count)
    }

    /// Adds an example to the latest source.
    public mutating func append(_ example: EncodedExample) {
        if sources.isEmpty { beginSource("memory") }
        if let given = example.weights {
            fillWeights()
            weights += given
        }
        ids.append(contentsOf: example.ids)
        if !weights.isEmpty { fillWeights() }
        labels.append(contentsOf: example.labels)
        offsets.append(ids.count)
        lengths.append(Int32(example.ids.count))
        lines.append(Int32(clamping: example.line))
    }

    /// Adds all examples of another data set, its sources after ours.
    public mutating func append(contentsOf other: EncodedDataset) {
        sources += other.sources
        sourceStarts += other.sourceStarts.map { $0 + count }
        let shift = ids.count
        if !other.weights.isEmpty {
            fillWeights()
            weights += other.weights
        }
        ids += other.ids
        if !weights.isEmpty { fillWeights() }
        labels += other.labels
        offsets += other.offsets.dropFirst().map { $0 + shift }
        lengths += other.lengths
        lines += other.lines
    }

    /// Counts tokens without weights as 1.
    private mutating func fillWeights() {
        if weights.count < ids.count { weights.append(contentsOf: repeatElement(1, count: ids.count - weights.count)) }
    }

    /// Lays some examples end to end as a micro-batch.
    /// - Parameters:
    ///   - indices: Which examples, in order; each below `count`.
    ///   - streamOffset: Tokens of the same optimiser step in earlier micro-batches.
    public func batch(of indices: some Sequence<Int32>, streamOffset: Int = 0) -> TokenBatch {
        let chosen = Array(indices)
        var builder = TokenBatchBuilder(capacity: chosen.reduce(0) { $0 + Int(lengths[Int($1)]) })
        for index in chosen.map(Int.init) {
            builder.append(
                ids: ids(of: index), labels: labels(of: index), weights: weights(of: index),
                record: RecordPlace(file: source(of: index), line: Int(lines[index])))
        }
        return TokenBatch(builder, streamOffset: streamOffset)
    }

    /// Feeds everything that training sees of this data to a hash: number of examples, lengths, ids and labels (and
    /// weights where there are any), all little-endian, behind a tag that names this layout. File names and line
    /// numbers stay out, so that a moved file is the same data.
    /// - Parameter update: Called with consecutive pieces; equal data sets give equal bytes in all.
    public func feedFingerprint(into update: (UnsafeRawBufferPointer) throws -> Void) rethrows {
        try Array("martlet-encoded-1\n".utf8).withUnsafeBytes(update)
        try withUnsafeBytes(of: UInt64(count).littleEndian, update)
        for values in [lengths, ids, labels] {
            #if _endian(little)
                try values.withUnsafeBytes(update)
            #else
                try values.map(\.littleEndian).withUnsafeBytes(update)
            #endif
        }
        if weights.isEmpty { return }
        try weights.map(\.bitPattern.littleEndian).withUnsafeBytes(update)
    }
}
