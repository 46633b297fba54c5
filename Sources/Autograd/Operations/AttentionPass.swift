import CKernels
import TensorCore

/// One attention, its shapes and inputs at hand for both directions.
struct AttentionPass {
    /// Queries in float32; keys and values as they come.
    let q, k, v: Tensor
    let layout: SequenceLayout
    let options: AttentionOptions
    let sinks: Tensor?
    let compute: Compute
    /// The keys that every token sees, counted from the first of its sequence: from `first` to before `last`.
    private let first, last: [Int32]

    /// Queries that are worked on at a time.
    static let blockSize = Int(MARTLET_ATTENTION_BLOCK)
    /// Fewer tokens than this are decoded: they share one long cache.
    private static let fewQueries = 8

    init(
        q: Tensor, k: Tensor, v: Tensor, layout: SequenceLayout, options: AttentionOptions, sinks: Tensor?,
        compute: Compute
    ) {
        (self.q, self.k, self.v, self.layout) = (q, k, v, layout)
        (self.options, self.sinks, self.compute) = (options, sinks, compute)
        let keys = layout.prefix + layout.tokenCount
        precondition(
            q.rows == layout.tokenCount && k.rows >= keys && v.rows >= keys,
            "\(q.rows) queries, \(k.rows) keys and \(v.rows) values for \(layout.tokenCount) tokens after \(layout.prefix)")
        precondition(
            q.columns == options.heads * options.headSize && k.columns == options.keyValueHeads * options.headSize
                && v.columns == options.keyValueHeads * options.valueSize,
            "queries, keys and values of \(q.columns), \(k.columns) and \(v.columns) columns for \(options)")
        let positions = layout.positions
        first = positions.map { Int32(options.firstVisible(Int($0))) }
        last = positions.map { $0 + 1 }
    }

    /// Sizes and strides as kernels take them, and what multiplies.
    var shape: martlet_attention {
        var shape = martlet_attention()
        (shape.head_size, shape.value_size) = (Int64(options.headSize), Int64(options.valueSize))
        (shape.scale, shape.cap) = (options.scale, options.softCap ?? 0)
        (shape.query_stride, shape.output_stride) = (Int64(q.columns), Int64(options.heads * options.valueSize))
        shape.tiles = compute.tiles?.product
        shape.halves = isInFloat16 ? martlet_float16_block : nil
        return shape
    }

    /// Whether products but those of scores run in float16.
    var isInFloat16: Bool {
        let width = Int(MARTLET_FLOAT16_COLUMNS)
        return compute.multipliesFloat16 && options.headSize % width == 0 && options.valueSize % width == 0
    }

    /// Query heads that share a key/value head.
    var group: Int { options.heads / options.keyValueHeads }

    /// Keys that some of the queries see, counted from the first of their sequence, and those before them in their
    /// block.
    func visibleKeys(_ queries: Range<Int>) -> Range<Int> {
        Int(first[queries.lowerBound]) / Self.blockSize * Self.blockSize..<Int(last[queries.upperBound - 1])
    }

    /// Calls `body` with a block of queries that meets the given keys.
    func withBlock(
        _ queries: Range<Int>, _ keys: Range<Int>, _ body: (UnsafePointer<martlet_attention_block>) -> Void
    ) {
        first.withUnsafeBufferPointer { first in
            last.withUnsafeBufferPointer { last in
                guard let first = first.baseAddress, let last = last.baseAddress else { return }
                var block = martlet_attention_block(
                    queries: Int64(queries.count), first_key: Int64(keys.lowerBound), last_key: Int64(keys.upperBound),
                    first: first + queries.lowerBound, last: last + queries.lowerBound)
                body(&block)
            }
        }
    }

    /// Output `[tokens, heads · valueSize]` and log-sum-exp `[heads, tokens]`.
    func forward() -> (Tensor, Tensor) {
        let output = compute.empty([q.rows, options.heads * options.valueSize])
        let lse = compute.empty([options.heads, q.rows])
        if layout.sequenceCount == 1 && q.rows < Self.fewQueries {
            decode(into: output, lse)
        } else {
            forward(into: output, lse)
        }
        return (output, lse)
    }

    // MARK: Many queries

    private func forward(into output: Tensor, _ lse: Tensor) {
        // Vectors that multiply bfloat16 gain nothing: scores and weights would need parts that keep what rounding takes.
        let unit = compute.tiles == .vectors ? nil : compute.tiles
        let keys = AttentionOperand(
            k, options.headSize, layout, .whole, exact: true, inFloat16: isInFloat16, on: unit, compute)
        let values = AttentionOperand(
            v, options.valueSize, layout, .transposed, inFloat16: isInFloat16, on: unit, compute)
        var shape = shape
        shape.tiles = unit?.product
        let blocks = (0..<layout.sequenceCount).flatMap { sequence in
            (0..<options.keyValueHeads).flatMap { head in
                // The last queries see the most keys. They come first, so that threads end at about the same time.
                TileOrder.pieces(layout.offsets[sequence]..<layout.offsets[sequence + 1], Self.blockSize).reversed()
                    .map { (sequence, head, $0) }
            }
        }
        let scratchCount = Int(martlet_attention_forward_scratch(&shape, Int64(group)))
        compute.threads.run(tiles: blocks.count) { [shape] tile in
            let (sequence, head, queries) = blocks[tile]
            let (row, query) = (queries.lowerBound, head * group)
            var (shape, keys, values) = (shape, keys.at(sequence, head), values.at(sequence, head))
            compute.withScratch(scratchCount) { scratch in
                withBlock(queries, visibleKeys(queries)) { block in
                    martlet_attention_forward(
                        &shape, block, Int64(group), q.floats + row * q.columns + query * options.headSize, &keys,
                        &values, sinks.map { $0.floats + query }, scratch,
                        output.output + row * output.columns + query * options.valueSize,
                        lse.output + query * q.rows + row, Int64(q.rows))
                }
            }
        }
    }

    // MARK: Few queries

    /// Every query against a chunk of the cache at a time; chunks are joined in their order.
    private func decode(into output: Tensor, _ lse: Tensor) {
        let width = partWidth
        let chunks = (0..<q.rows).flatMap { row in
            TileOrder.pieces(Int(first[row])..<Int(last[row]), Int(MARTLET_ATTENTION_CHUNK)).map { (row, $0) }
        }
        let parts = compute.empty([chunks.count, options.heads * width])
        // Float32, as it comes from a cache, is read where it lies, and nothing is rounded.
        func floats(_ x: Tensor) -> Tensor { x.elementType == .float32 ? x : compute.converted(x, to: .float32) }
        let (k, v) = (floats(k), floats(v))
        var shape = shape
        let scratchCount = Int(martlet_attention_chunk_scratch(&shape, Int64(group)))
        compute.threads.run(tiles: chunks.count) { [shape] tile in
            let (row, part) = chunks[tile]
            var shape = shape
            compute.withScratch(scratchCount) { scratch in
                for head in 0..<options.keyValueHeads {
                    martlet_attention_chunk(
                        &shape, Int64(group), Int64(part.count),
                        q.floats + row * q.columns + head * group * options.headSize,
                        k.floatRows + part.lowerBound * k.rowStride + head * options.headSize, Int64(k.rowStride),
                        v.floatRows + part.lowerBound * v.rowStride + head * options.valueSize, Int64(v.rowStride),
                        scratch, parts.output + (tile * options.heads + head * group) * width, Int64(width))
                }
            }
        }
        join(parts, of: chunks.map(\.0), into: output, lse)
    }

    /// What a chunk leaves of a query and head: the largest score, a sum of weights, and sums of values.
    private var partWidth: Int { options.valueSize + 2 }

    /// Joins the parts of every query, whose row `rows` tells for each part in rising order.
    private func join(_ parts: Tensor, of rows: [Int], into output: Tensor, _ lse: Tensor) {
        let width = partWidth
        var start = 0
        for row in 0..<q.rows {
            let count = rows[start...].prefix { $0 == row }.count
            defer { start += count }
            for head in 0..<options.heads {
                martlet_attention_join(
                    Int64(options.valueSize), Int64(count), parts.floats + (start * options.heads + head) * width,
                    Int64(options.heads * width), sinks?.floats[head] ?? -.infinity,
                    output.output + row * output.columns + head * options.valueSize, lse.output + head * q.rows + row)
            }
        }
    }
}

/// How work whose pieces differ in cost is cut and ordered: by shapes only, so that every thread count gives the same
/// bits.
enum TileOrder {
    /// Cuts a range into pieces of `size`; the last may be smaller.
    static func pieces(_ range: Range<Int>, _ size: Int) -> [Range<Int>] {
        stride(from: range.lowerBound, to: range.upperBound, by: size).map { $0..<min(range.upperBound, $0 + size) }
    }

    /// The costliest first, so that threads end at about the same time; equal ones stay in their order.
    static func heaviestFirst<Work>(_ work: [Work], _ cost: (Work) -> Int) -> [Work] {
        work.map { ($0, cost($0)) }.enumerated()
            .sorted { ($1.element.1, $0.offset) < ($0.element.1, $1.offset) }.map(\.element.0)
    }
}
