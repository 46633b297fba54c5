import CKernels
public import TensorCore

extension Graph {
    /// The language-model head and its loss in one operation: summed cross-entropy of `softmax(hidden · headᵀ)`.
    ///
    /// Works through the supervised tokens in chunks, so that gradients of logits exist for one chunk at a time, and forms
    /// the gradient of its hidden states: `dh = (softmax(logits) − onehot(target)) · head`. The head is frozen.
    /// - Parameters:
    ///   - hidden: `[tokens, hidden]`, after the final norm.
    ///   - head: `[vocabulary, hidden]`.
    ///   - targets: one token id per token, negative where the token is not trained.
    ///   - weights: how much each token's loss counts; `nil` = each 1.
    ///   - softCap: logits `z` become `cap · tanh(z / cap)` before the softmax.
    /// - Returns: the loss variable `[1]` and its value summed in double precision, natural logarithm.
    public func linearCrossEntropy(
        _ hidden: Variable, head: Weight, targets: [Int32], weights: [Float]? = nil, softCap: Float? = nil
    ) -> (loss: Variable, sum: Double) {
        precondition(targets.count == hidden.value.rows, "\(targets.count) targets for \(hidden.value.rows) tokens")
        precondition(weights == nil || weights?.count == targets.count, "weights of other tokens than the targets'")
        let supervised = targets.indices.filter { targets[$0] >= 0 }
        let type = hidden.value.elementType
        let dHidden = hidden.needsGradient ? compute.empty(hidden.value.shape) : nil
        if let dHidden { dHidden.output.update(repeating: 0, count: dHidden.count) }
        var sum = 0.0
        let count = Graph.rowsOfLogits(
            tokens: supervised.count, vocabulary: head.rows, type: compute.precision.activationType)
        for start in stride(from: 0, to: supervised.count, by: max(1, count)) {
            let rows = Array(supervised[start..<min(supervised.count, start + count)])
            let chunk = LogitChunk(hidden.value, head, rows, rows.map { targets[$0] }, softCap, on: compute)
            let (losses, totals, gradient) = chunk.losses(withGradient: dHidden != nil)
            for (index, row) in rows.enumerated() {
                let weight = weights?[row] ?? 1
                sum += Double(losses.floats[index]) * Double(weight)
                guard let dHidden, let gradient else { continue }
                martlet_scale(
                    Int64(gradient.columns), weight / totals.floats[index], gradient.floats + index * gradient.columns,
                    dHidden.output + row * gradient.columns)
            }
        }
        let compute = compute
        let loss = record("loss", compute.tensor([Float(sum)], shape: [1]), inputs: [hidden]) { gradient in
            guard let dHidden else { return [nil] }
            let factor = gradient.floats[0]
            return [compute.converted(factor == 1 ? dHidden : compute.scaled(dHidden, by: factor), to: type)]
        }
        return (loss, sum)
    }

    /// Tokens whose gradients of logits exist at a time: 64 MB of them in chunks of about equal size, but no fewer than 256
    /// tokens, because every chunk reads the whole head.
    /// - Parameter type: that of the gradients.
    package static func rowsOfLogits(tokens: Int, vocabulary: Int, type: ElementType) -> Int {
        let most = mostLogitBytes / type.byteCount, chunks = max(1, (tokens * vocabulary + most - 1) / most)
        return min(tokens, max(fewestRows, ((tokens + chunks - 1) / chunks + 63) / 64 * 64))
    }

    /// The most that ``rowsOfLogits(tokens:vocabulary:type:)`` is for so many tokens or fewer, or a little more.
    package static func mostRowsOfLogits(tokens: Int, vocabulary: Int, type: ElementType) -> Int {
        min(tokens, max(fewestRows, (mostLogitBytes / type.byteCount / max(1, vocabulary) + 64) / 64 * 64))
    }

    private static let mostLogitBytes = 1 << 26, fewestRows = 256
}

extension Compute {
    /// Caps logits in place.
    package func capLogits(_ logits: Tensor, _ cap: Float) {
        forEachRowBlock(of: logits.rows, rowElements: logits.columns) { rows in
            martlet_soft_cap(Int64(rows.count * logits.columns), cap, logits.output + rows.lowerBound * logits.columns)
        }
    }
}
