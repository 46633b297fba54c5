import CKernels
public import TensorCore

/// What an attention operation computes, apart from its inputs.
public struct AttentionOptions: Sendable {
    /// Query heads and key/value heads; the first is a multiple of the second.
    public let heads, keyValueHeads: Int
    /// Width of a query or key head, and of a value head.
    public let headSize, valueSize: Int
    /// Factor of the scores, usually `1/√headSize`.
    public let scale: Float
    /// A query sees itself and `window − 1` tokens before it.
    public let window: Int?
    /// A query sees tokens of its own chunk of positions only.
    public let chunk: Int?
    /// Scores `s` become `cap · tanh(s / cap)`.
    public let softCap: Float?

    /// Causal attention within each sequence, optionally narrowed by a window or chunks.
    public init(
        heads: Int, keyValueHeads: Int, headSize: Int, valueSize: Int? = nil, scale: Float, window: Int? = nil,
        chunk: Int? = nil, softCap: Float? = nil
    ) {
        precondition(heads % keyValueHeads == 0, "\(heads) query heads over \(keyValueHeads) key heads")
        (self.heads, self.keyValueHeads, self.headSize) = (heads, keyValueHeads, headSize)
        (self.valueSize, self.scale, self.window, self.chunk) = (valueSize ?? headSize, scale, window, chunk)
        self.softCap = softCap
    }

    /// First position that a query at `position` sees.
    func firstVisible(_ position: Int) -> Int {
        max(0, window.map { position - $0 + 1 } ?? 0, chunk.map { position / $0 * $0 } ?? 0)
    }
}

extension Graph {
    /// Scaled dot-product attention (Vaswani et al., 2017), causal, within each sequence.
    ///
    /// Scores exist for a block of queries at a time: memory is linear in tokens. Derivative from the saved log-sum-exp:
    /// `P = exp(s − lse)`, `dV = Pᵀ·dO`, `dS = P·(dO·Vᵀ − Σ dO·O)·scale`, `dQ = dS·K`, `dK = dSᵀ·Q`; with a soft cap
    /// the slope of the cap takes the place of `scale`.
    /// - Parameters:
    ///   - q: `[tokens, heads · headSize]`.
    ///   - k: `[prefix + tokens, keyValueHeads · headSize]` (more rows are ignored).
    ///   - v: `[prefix + tokens, keyValueHeads · valueSize]`.
    ///   - sinks: `[heads]`, float32 and frozen: one more score per head, which takes its share of the softmax and adds
    ///     nothing to the output (gpt-oss). The lse includes it, and so the derivative stays as it is.
    /// - Returns: `[tokens, heads · valueSize]`.
    public func attention(
        _ q: Variable, _ k: Variable, _ v: Variable, layout: SequenceLayout, options: AttentionOptions,
        sinks: Tensor? = nil
    ) -> Variable {
        precondition(sinks.map { $0.count == options.heads } ?? true, "sinks must be one number for each head")
        let compute = compute
        // Scores are large, and the softmax lives on their differences: rounded queries and keys show in every weight, and
        // the backward pass has to find the weights again that the forward pass used.
        let pass = AttentionPass(
            q: compute.converted(q.value, to: .float32), k: compute.converted(k.value, to: .float32),
            v: compute.rounded(v.value), layout: layout, options: options, sinks: sinks, compute: compute)
        let (output, lse) = pass.forward()
        let (queries, keys, type) = (pass.q, pass.k, compute.precision.activationType)
        let (keptValues, keptOutput) = (rounded(toKeep: pass.v), rounded(toKeep: output))
        return record("attention", output, inputs: [q, k, v], again: { keptOutput }) { gradient in
            let pass = AttentionPass(
                q: queries, k: keys, v: compute.converted(keptValues, to: .float32), layout: layout, options: options,
                sinks: sinks, compute: compute)
            let output = compute.converted(keptOutput, to: .float32)
            return pass.backward(compute.rounded(gradient), output, lse).map { compute.converted($0, to: type) }
        }
    }
}

/// One attention, its shapes and inputs at hand for both directions.
private struct AttentionPass {
    let q, k, v: Tensor
    let layout: SequenceLayout
    let options: AttentionOptions
    let sinks: Tensor?
    let compute: Compute

    /// Queries whose scores exist at a time.
    private static let blockSize = 64

    /// A block of queries of one sequence: their rows, and the rows of the keys that any of them sees.
    private struct Block {
        let queries, keys: Range<Int>
        /// Per query: the visible columns among `keys`.
        let first, last: [Int32]
    }

    private func blocks(sequence: Int) -> [Block] {
        let (start, end) = (layout.offsets[sequence], layout.offsets[sequence + 1])
        return stride(from: start, to: end, by: Self.blockSize).map { lower in
            let queries = lower..<min(end, lower + Self.blockSize)
            let positions = queries.map { layout.prefix + $0 - start }
            let firstKey = options.firstVisible(positions[0])
            return Block(
                queries: queries, keys: start + firstKey..<start + positions[positions.count - 1] + 1,
                first: positions.map { Int32(options.firstVisible($0) - firstKey) },
                last: positions.map { Int32($0 + 1 - firstKey) })
        }
    }

    /// Output `[tokens, heads · valueSize]` and log-sum-exp `[heads, tokens]`.
    func forward() -> (Tensor, Tensor) {
        let output = compute.empty([q.rows, options.heads * options.valueSize])
        let lse = compute.empty([options.heads, q.rows])
        let all = (0..<layout.sequenceCount).flatMap(blocks)
        let widest = all.map(\.keys.count).max() ?? 0
        compute.threads.run(tiles: all.count * options.heads) { tile in
            let (block, head) = (all[tile / options.heads], tile % options.heads)
            let (rows, keys) = (block.queries.count, block.keys.count)
            compute.withScratch(Self.blockSize * widest) { scores in
                multiplyScores(block, head, into: scores)
                martlet_attention_softmax(
                    Int64(rows), Int64(keys), Int64(keys), softmaxScale, sinks?.floats[head] ?? -.infinity, block.first,
                    block.last, scores, lse.output + head * q.rows + block.queries.lowerBound)
                compute.multiplySplit(
                    rows, options.valueSize, keys, left: scores, values(block, head),
                    into: output.output + block.queries.lowerBound * output.columns + head * options.valueSize,
                    stride: output.columns)
            }
        }
        return (output, lse)
    }

    /// Gradients of q, k and v.
    func backward(_ dOutput: Tensor, _ output: Tensor, _ lse: Tensor) -> [Tensor] {
        let dq = compute.empty(q.shape)
        // Keys and values are shared by a group of heads: each head sums into its own columns, then groups are added.
        let dkHeads = compute.empty([q.rows, options.heads * options.headSize])
        let dvHeads = compute.empty([q.rows, options.heads * options.valueSize])
        let sequences = (0..<layout.sequenceCount).map(blocks)
        compute.threads.run(tiles: sequences.count * options.heads) { tile in
            let (blocks, head) = (sequences[tile / options.heads], tile % options.heads)
            let widest = blocks.map(\.keys.count).max() ?? 0
            let matrices = options.softCap == nil ? 2 : 3
            compute.withScratch(matrices * Self.blockSize * widest + Self.blockSize) { scratch in
                clearHead(dkHeads, head, options.headSize, blocks)
                clearHead(dvHeads, head, options.valueSize, blocks)
                for block in blocks {
                    backward(block, head, dOutput, output, lse, dq, dkHeads, dvHeads, scratch)
                }
            }
        }
        return [dq, groupSum(dkHeads, options.headSize), groupSum(dvHeads, options.valueSize)]
    }

    private func backward(
        _ block: Block, _ head: Int, _ dOutput: Tensor, _ output: Tensor, _ lse: Tensor, _ dq: Tensor,
        _ dkHeads: Tensor, _ dvHeads: Tensor, _ scratch: UnsafeMutablePointer<Float>
    ) {
        let (rows, keys, row) = (block.queries.count, block.keys.count, block.queries.lowerBound)
        let (weights, dScores) = (scratch, scratch + rows * keys)
        let delta = dScores + rows * keys
        let slopes = options.softCap.map { _ in delta + rows }
        let width = output.columns
        let dOut = MatrixPointer(dOutput.floats + row * width + head * options.valueSize, stride: width)
        let out = output.floats + row * width + head * options.valueSize
        multiplyScores(block, head, into: weights, slopes: slopes)
        martlet_attention_weights(
            Int64(rows), Int64(keys), Int64(keys), softmaxScale, block.first, block.last,
            lse.floats + head * q.rows + row, weights)
        martlet_row_dots(
            Int64(rows), Int64(options.valueSize), dOut.start, Int64(width), out, Int64(width), delta)
        compute.multiply(
            rows, keys, options.valueSize, dOut, values(block, head).transposed, into: dScores, stride: keys)
        martlet_attention_softmax_backward(
            Int64(rows), Int64(keys), Int64(keys), softmaxScale, weights, delta, dScores)
        if let slopes { martlet_multiply(Int64(rows * keys), dScores, slopes, dScores) }
        let (kWidth, vWidth) = (dkHeads.columns, dvHeads.columns)
        compute.multiply(
            keys, options.valueSize, rows, MatrixPointer(weights, stride: keys).transposed, dOut, beta: 1,
            into: dvHeads.output + block.keys.lowerBound * vWidth + head * options.valueSize, stride: vWidth)
        compute.multiply(
            rows, options.headSize, keys, MatrixPointer(dScores, stride: keys), self.keys(block, head),
            into: dq.output + row * q.columns + head * options.headSize, stride: q.columns)
        compute.multiply(
            keys, options.headSize, rows, MatrixPointer(dScores, stride: keys).transposed, queries(block, head),
            beta: 1,
            into: dkHeads.output + block.keys.lowerBound * kWidth + head * options.headSize, stride: kWidth)
    }

    // MARK: Operands of a block and head

    private func queries(_ block: Block, _ head: Int) -> MatrixPointer {
        MatrixPointer(q.floats + block.queries.lowerBound * q.columns + head * options.headSize, stride: q.columns)
    }

    private func keys(_ block: Block, _ head: Int) -> MatrixPointer {
        let group = head / (options.heads / options.keyValueHeads)
        return MatrixPointer(k.floats + block.keys.lowerBound * k.columns + group * options.headSize, stride: k.columns)
    }

    private func values(_ block: Block, _ head: Int) -> MatrixPointer {
        let group = head / (options.heads / options.keyValueHeads)
        return MatrixPointer(
            v.floats + block.keys.lowerBound * v.columns + group * options.valueSize, stride: v.columns)
    }

    /// Products of queries and keys; where there is a soft cap, scaled and capped already.
    private func multiplyScores(
        _ block: Block, _ head: Int, into scores: UnsafeMutablePointer<Float>,
        slopes: UnsafeMutablePointer<Float>? = nil
    ) {
        let (rows, keys) = (block.queries.count, block.keys.count)
        compute.multiplySplit(
            rows, keys, options.headSize, queries(block, head), self.keys(block, head), into: scores, stride: keys)
        if let cap = options.softCap { martlet_soft_cap(Int64(rows * keys), options.scale, cap, scores, slopes) }
    }

    /// What the softmax multiplies scores with.
    private var softmaxScale: Float { options.softCap == nil ? options.scale : 1 }

    private func clearHead(_ tensor: Tensor, _ head: Int, _ size: Int, _ blocks: [Block]) {
        guard let start = blocks.first?.queries.lowerBound, let end = blocks.last?.queries.upperBound else { return }
        for row in start..<end {
            (tensor.output + row * tensor.columns + head * size).update(repeating: 0, count: size)
        }
    }

    /// Adds up the columns of the heads that share a key/value head, in head order.
    private func groupSum(_ perHead: Tensor, _ size: Int) -> Tensor {
        let group = options.heads / options.keyValueHeads
        if group == 1 { return perHead }
        let sum = compute.empty([perHead.rows, options.keyValueHeads * size])
        compute.forEachRowBlock(of: sum.rows, rowElements: perHead.columns) { rows in
            for row in rows {
                for head in 0..<options.keyValueHeads {
                    let target = sum.output + row * sum.columns + head * size
                    let source = perHead.floats + row * perHead.columns + head * group * size
                    target.update(from: source, count: size)
                    for member in 1..<group { martlet_add_scaled(Int64(size), 1, source + member * size, target) }
                }
            }
        }
        return sum
    }
}
