import CKernels
import TensorCore

/// Some tokens of a loss, whose gradients of logits exist together.
///
/// A tile of logits is gone as soon as it is finished: left are its sums of exponentials and, for the gradients,
/// the exponentials. That takes a number to subtract from a row's logits before the largest of them is known. The
/// target's logit serves, since it is hardly ever far below; where it is, the largest is found first and all is done again.
struct LogitChunk {
    let compute: Compute
    let head: Weight
    let softCap: Float?
    let targets: [Int32]
    /// The hidden states, `[rows, hidden]`, and what is subtracted from their logits, `[rows]`.
    let hidden, references: Tensor

    /// What is subtracted is so much above the target's logit. The largest may then be 99 above it before sums reach what
    /// leaves room for products of them; and where it is the target's, it is far from vanishing.
    private static let offset: Float = 30, mostTotal: Float = 1e30

    init(_ hidden: Tensor, _ head: Weight, _ rows: [Int], _ targets: [Int32], _ softCap: Float?, on compute: Compute) {
        (self.compute, self.head, self.softCap, self.targets) = (compute, head, softCap, targets)
        self.hidden = compute.empty([rows.count, hidden.columns])
        references = compute.empty([rows.count])
        compute.forEachRowBlock(of: rows.count, rowElements: hidden.columns) { block in
            for row in block { gather(row, from: hidden, rows[row]) }
        }
    }

    private func gather(_ row: Int, from all: Tensor, _ source: Int) {
        let (width, id) = (Int64(hidden.columns), Int(targets[row]))
        let state = hidden.output + row * hidden.columns
        compute.readRows(all, source..<source + 1) { state.update(from: $0, count: hidden.columns) }
        compute.withScratch(hidden.columns) { target in
            head.expand(rows: id..<id + 1, precision: .float32, into: target)
            var logit: Float = 0
            martlet_row_dots(1, width, state, width, target, width, &logit)
            references.output[row] = capped(logit) + Self.offset
        }
    }

    /// About what the cap leaves of a logit.
    private func capped(_ logit: Float) -> Float { softCap.map { min($0, max(-$0, logit)) } ?? logit }

    /// Losses of the rows, and `totals[r]` times the gradient of a row's hidden state.
    func losses(withGradient: Bool) -> (losses: Tensor, totals: Tensor, gradient: Tensor?) {
        let gradients = withGradient ? emptyGradients() : nil
        var (losses, totals, own) = sums(leaving: gradients)
        if (0..<totals.count).contains(where: { !(totals.floats[$0] < Self.mostTotal) }) {
            findLargest()
            (losses, totals, own) = sums(leaving: gradients)
        }
        guard let gradients else { return (losses, totals, nil) }
        put(own, into: gradients)
        return (losses, totals, compute.product(gradients, head))
    }

    /// Room for gradients of logits: in bfloat16 in rows that products read where they lie, since they are not a power of two
    /// apart.
    private func emptyGradients() -> Tensor {
        let type = compute.precision.activationType
        if type == .float32 { return compute.empty([hidden.rows, head.rows]) }
        return compute.empty([hidden.rows, head.rows + TilePack.depth], type).columnSlice(0..<head.rows)
    }

    /// Losses, sums of exponentials, and what belongs at the targets' places among the exponentials that it leaves.
    private func sums(leaving exponentials: Tensor?) -> (losses: Tensor, totals: Tensor, own: Tensor) {
        func empty() -> Tensor { compute.empty([hidden.rows]) }
        let (picked, losses, totals, own) = (empty(), empty(), empty(), empty())
        let sums = partialResults(0)
        forEachTile(leaving: exponentials, sums) { tile, row, sums in
            martlet_softmax_of_logits(&tile, sums, picked.output + row)
        }
        withLogits { all in
            martlet_cross_entropy(
                &all, Int64(sums.rows), sums.floats, picked.floats, totals.output, losses.output, own.output)
        }
        return (losses, totals, own)
    }

    /// Makes every row's largest logit what is subtracted from it.
    private func findLargest() {
        let maxima = partialResults(-.infinity)
        forEachTile(leaving: nil, maxima) { tile, _, maxima in
            martlet_row_maxima(tile.rows, tile.columns, tile.values, tile.stride, maxima)
        }
        for row in 0..<hidden.rows {
            let largest = (0..<maxima.rows).reduce(-.infinity) { max($0, maxima.floats[$1 * maxima.columns + row]) }
            references.output[row] = capped(largest)
        }
    }

    /// A number for every row and part of the vocabulary, `[parts, rows]`.
    private func partialResults(_ value: Float) -> Tensor {
        let parts = compute.empty([(head.rows + Compute.sharedTileStep - 1) / Compute.sharedTileStep, hidden.rows])
        parts.output.update(repeating: value, count: parts.count)
        return parts
    }

    /// Calls `body` with every tile of the logits, its first row, and the place for its partial results.
    private func forEachTile(
        leaving kept: Tensor?, _ parts: Tensor,
        _ body: (inout martlet_logits, _ row: Int, UnsafeMutablePointer<Float>) -> Void
    ) {
        withLogits { all in
            compute.product(hidden, transposed: head, into: kept) { [all] rows, columns, values, stride in
                var tile = all
                (tile.rows, tile.columns, tile.first) = (Int64(rows.count), Int64(columns.count), Int64(columns.lowerBound))
                (tile.values, tile.stride) = (values, Int64(stride))
                tile.references += rows.lowerBound
                tile.targets += rows.lowerBound
                let part = columns.lowerBound / Compute.sharedTileStep
                body(&tile, rows.lowerBound, parts.output + part * parts.columns + rows.lowerBound)
            }
        }
    }

    /// Calls `body` with what kernels have to know of all rows.
    private func withLogits(_ body: (inout martlet_logits) -> Void) {
        targets.withUnsafeBufferPointer { targets in
            var logits = martlet_logits()
            (logits.rows, logits.cap) = (Int64(hidden.rows), softCap ?? 0)
            (logits.references, logits.targets) = (references.floats, targets.baseAddress)
            body(&logits)
        }
    }

    /// Writes one number to the target's place of every row.
    private func put(_ own: Tensor, into gradients: Tensor) {
        for (row, target) in targets.enumerated() {
            let at = row * gradients.rowStride + Int(target)
            switch gradients.elementType {
            case .float32: UnsafeMutablePointer(mutating: gradients.floatRows)[at] = own.floats[row]
            case .bfloat16:
                martlet_to_bfloat16(1, own.floats + row, UnsafeMutablePointer(mutating: gradients.bfloatRows) + at)
            }
        }
    }
}
