import CKernels
public import TensorCore

extension Graph {
    /// The language-model head and its loss in one operation: summed cross-entropy of `softmax(hidden · headᵀ)`.
    ///
    /// Works through the supervised tokens in chunks and through the vocabulary in parts, so that gradients of logits exist
    /// for one part at a time, and forms the gradient of a chunk's hidden states:
    /// `dh = (softmax(logits) − onehot(target)) · head`. The head is frozen.
    /// - Parameters:
    ///   - hidden: `[tokens, hidden]`, after the final norm.
    ///   - head: `[vocabulary, hidden]`.
    ///   - targets: one token id per token, below the size of the vocabulary, negative where the token is not trained.
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
        precondition(supervised.allSatisfy { targets[$0] < head.rows }, "a target outside a vocabulary of \(head.rows)")
        let cut = LogitCut(tokens: supervised.count, head: head)
        for start in stride(from: 0, to: supervised.count, by: max(1, cut.rows)) {
            let rows = Array(supervised[start..<min(supervised.count, start + cut.rows)])
            let chunk = LogitChunk(hidden.value, cut.parts, rows, rows.map { targets[$0] }, softCap, on: compute)
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
}

extension Compute {
    /// Caps logits in place.
    package func capLogits(_ logits: Tensor, _ cap: Float) {
        forEachRowBlock(of: logits.rows, rowElements: logits.columns) { rows in
            martlet_soft_cap(Int64(rows.count * logits.columns), cap, logits.output + rows.lowerBound * logits.columns)
        }
    }
}
