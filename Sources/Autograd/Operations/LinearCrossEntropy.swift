import CKernels
public import TensorCore

extension Graph {
    /// The language-model head and its loss in one operation: summed cross-entropy of `softmax(hidden · headᵀ)`.
    ///
    /// Works through the supervised tokens in chunks; logits exist for one chunk at a time, and the gradient of the
    /// hidden states is formed while they do: `dh = (softmax(logits) − onehot(target)) · head`. The head is frozen.
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
        let chunk = Graph.rowsOfLogits(tokens: supervised.count, vocabulary: head.rows)
        for start in stride(from: 0, to: supervised.count, by: max(1, chunk)) {
            let rows = Array(supervised[start..<min(supervised.count, start + chunk)])
            sum += compute.crossEntropyChunk(
                hidden.value, head, rows, rows.map { targets[$0] }, weights.map { all in rows.map { all[$0] } }, softCap,
                dHidden)
        }
        let compute = compute
        let loss = record("loss", compute.tensor([Float(sum)], shape: [1]), inputs: [hidden]) { gradient in
            guard let dHidden else { return [nil] }
            let factor = gradient.floats[0]
            return [compute.converted(factor == 1 ? dHidden : compute.scaled(dHidden, by: factor), to: type)]
        }
        return (loss, sum)
    }

    /// Tokens whose logits exist at a time: 64 MB of them in chunks of about equal size, but no fewer than 256, because every
    /// chunk reads the whole head.
    package static func rowsOfLogits(tokens: Int, vocabulary: Int) -> Int {
        let chunks = max(1, (tokens * vocabulary + mostLogits - 1) / mostLogits)
        return min(tokens, max(fewestRows, ((tokens + chunks - 1) / chunks + 63) / 64 * 64))
    }

    /// The most that ``rowsOfLogits(tokens:vocabulary:)`` is for so many tokens or fewer, or a little more.
    package static func mostRowsOfLogits(tokens: Int, vocabulary: Int) -> Int {
        min(tokens, max(fewestRows, (mostLogits / max(1, vocabulary) + 64) / 64 * 64))
    }

    private static let mostLogits = 1 << 24, fewestRows = 256
}

extension Compute {
    /// Loss of the given rows; their gradients are written into `dHidden`.
    fileprivate func crossEntropyChunk(
        _ hidden: Tensor, _ head: Weight, _ rows: [Int], _ targets: [Int32], _ weights: [Float]?,
        _ softCap: Float?, _ dHidden: Tensor?
    ) -> Double {
        let width = hidden.columns
        let gathered = empty([rows.count, width])
        forEachRowBlock(of: rows.count, rowElements: width) { block in
            for row in block {
                readRows(hidden, rows[row]..<rows[row] + 1) { values in
                    (gathered.output + row * width).update(from: values, count: width)
                }
            }
        }
        let logits = product(gathered, transposed: head)
        let slopes = softCap.flatMap { capLogits(logits, $0, keepSlopes: dHidden != nil) }
        let (losses, totals) = (empty([rows.count]), empty([rows.count]))
        let dLogits = dHidden.map { _ in gradients(ofLogits: logits) }
        forEachRowBlock(of: rows.count, rowElements: logits.columns) { block in
            targets.withUnsafeBufferPointer { targets in
                crossEntropy(block, targets.baseAddress!, logits, slopes, losses, totals, dLogits)
            }
        }
        if let dHidden, let dLogits {
            let gradient = product(dLogits, head)
            for (index, row) in rows.enumerated() {
                martlet_scale(
                    Int64(width), (weights?[index] ?? 1) / totals.floats[index], gradient.floats + index * width,
                    dHidden.output + row * width)
            }
        }
        return (0..<rows.count).reduce(0.0) { $0 + Double(losses.floats[$1]) * Double(weights?[$1] ?? 1) }
    }

    /// Where the gradients of logits go: in bfloat16 to rows of their own, which products read where they lie if they are
    /// whole tiles wide and not a power of two apart; else to the place of the logits.
    private func gradients(ofLogits logits: Tensor) -> Tensor {
        guard precision == .bfloat16 else { return logits }
        let vocabulary = logits.columns
        return empty([logits.rows, vocabulary + TilePack.depth], .bfloat16).columnSlice(0..<vocabulary)
    }

    /// Losses of some rows; unless only those are wanted, what their softmax was not divided by, and gradients times that; see
    /// kernels.h.
    /// - Parameter dLogits: the logits themselves, or a tensor for rounded gradients.
    private func crossEntropy(
        _ rows: Range<Int>, _ targets: UnsafePointer<Int32>, _ logits: Tensor, _ slopes: Tensor?, _ losses: Tensor,
        _ totals: Tensor, _ dLogits: Tensor?
    ) {
        let (count, columns, first) = (Int64(rows.count), Int64(logits.columns), rows.lowerBound)
        let (targets, values) = (targets + first, logits.floats + first * logits.columns)
        let (loss, total) = (losses.output + first, totals.output + first)
        guard let dLogits else { return martlet_cross_entropy(count, columns, targets, values, loss) }
        let (factors, stride) = (slopes.map { $0.floats + first * logits.columns }, Int64(dLogits.rowStride))
        switch dLogits.elementType {
        case .float32:
            let target = UnsafeMutablePointer(mutating: dLogits.floatRows) + first * dLogits.rowStride
            martlet_cross_entropy_f32(count, columns, targets, values, factors, loss, total, target, stride)
        case .bfloat16:
            let target = UnsafeMutablePointer(mutating: dLogits.bfloatRows) + first * dLogits.rowStride
            martlet_cross_entropy_bf16(count, columns, targets, values, factors, loss, total, target, stride)
        }
    }

    /// Caps logits in place and returns the derivative of every one, if it is wanted.
    @discardableResult
    package func capLogits(_ logits: Tensor, _ cap: Float, keepSlopes: Bool = false) -> Tensor? {
        let slopes = keepSlopes ? empty(logits.shape) : nil
        forEachRowBlock(of: logits.rows, rowElements: logits.columns) { rows in
            let start = rows.lowerBound * logits.columns
            martlet_soft_cap(
                Int64(rows.count * logits.columns), 1, cap, logits.output + start, slopes.map { $0.output + start })
        }
        return slopes
    }
}
