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
        precondition(min(window ?? 1, chunk ?? 1) > 0, "window \(window ?? 1) or chunk \(chunk ?? 1) without a key")
        (self.heads, self.keyValueHeads, self.headSize) = (heads, keyValueHeads, headSize)
        (self.valueSize, self.scale, self.window, self.chunk) = (valueSize ?? headSize, scale, window, chunk)
        self.softCap = softCap
    }

    /// Whether so much is seen in a sequence of `length` tokens that what attention gave is worth its memory.
    public func isLong(over length: Int) -> Bool { min(length, window ?? length, chunk ?? length) >= 2048 }

    /// First position that a query at `position` sees.
    func firstVisible(_ position: Int) -> Int {
        max(0, window.map { position - $0 + 1 } ?? 0, chunk.map { position / $0 * $0 } ?? 0)
    }
}

extension Graph {
    /// Scaled dot-product attention (Vaswani et al., 2017), causal, within each sequence.
    ///
    /// Scores exist for a block of queries and keys at a time: memory is linear in tokens. Derivative from the saved
    /// log-sum-exp: `P = exp(s − lse)`, `dV = Pᵀ·dO`, `dS = P·(dO·Vᵀ − Σ dO·O)·scale`, `dQ = dS·K`, `dK = dSᵀ·Q`; with
    /// a soft cap the slope of the cap takes the place of `scale`.
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
        func pass(_ queries: Tensor, _ keys: Tensor, _ values: Tensor) -> AttentionPass {
            AttentionPass(
                q: queries, k: keys, v: values, layout: layout, options: options, sinks: sinks, compute: compute)
        }
        let queries = compute.converted(q.value, to: .float32)
        func forward() -> (Tensor, Tensor) { pass(queries, k.value, v.value).forward() }
        let results = options.isLong(over: layout.longest) ? keptResults : nil
        let (output, lse) = results?.next(isSecondRun: isRecording, forward) ?? forward()
        let (keptQueries, keptKeys) = (kept(heads: q.value, options), kept(heads: k.value, options))
        let (keptValues, keptOutput) = (rounded(toKeep: v.value), rounded(toKeep: output))
        return record("attention", output, inputs: [q, k, v], again: { keptOutput }) { gradient in
            let queries = compute.converted(keptQueries.value(), to: .float32)
            let (dq, dk, dv) = pass(queries, keptKeys.value(), keptValues).backward(gradient, keptOutput, lse)
            // What turned queries and keys reads their gradients once more, and rounds them then.
            return [dq, dk, compute.converted(dv, to: compute.precision.activationType)]
        }
    }

    /// What the backward pass keeps of queries or keys. Scores are large, and the softmax lives on their differences: the
    /// backward pass has to find the weights again that the forward pass used, which it does not from bfloat16. The forward
    /// pass itself does better without any rounding.
    private func kept(heads x: Tensor, _ options: AttentionOptions) -> Kept {
        guard roundsToKeep(x) else { return Kept(x) }
        let (compute, rows) = (compute, FixedPointRows(x, stretch: options.headSize, on: compute))
        return Kept(again: { rows.expanded(on: compute) })
    }
}
