import CKernels
import TensorCore

/// Some tokens of a loss, which go through the head together, a part of the vocabulary at a time.
///
/// A tile of logits is gone as soon as it is finished: left are its sums of exponentials and, for the gradients, the
/// exponentials, which meet the same part of the head at once. So neither all logits nor the whole head are in memory. That
/// takes a number to subtract from a row's logits before the largest of them is known. The target's logit serves, since it is
/// hardly ever far below; where it is, the largest is found first and all is done again.
struct LogitChunk {
    let compute: Compute
    let softCap: Float?
    let targets: [Int32]
    /// The head in parts of the vocabulary.
    private let parts: [Weight]
    /// The hidden states and the targets' rows of the head, `[rows, hidden]`, and what is subtracted from logits, `[rows]`.
    private let hidden, ownRows, references: Tensor

    /// What is subtracted is so much above the target's logit. The largest may then be 99 above it before sums reach what
    /// leaves room for products of them; and where it is the target's, it is far from vanishing.
    private static let offset: Float = 30, mostTotal: Float = 1e30

    /// - Parameters:
    ///   - rows: which of the hidden states.
    ///   - targets: theirs.
    init(
        _ hidden: Tensor, _ parts: [Weight], _ rows: [Int], _ targets: [Int32], _ softCap: Float?, on compute: Compute
    ) {
        (self.compute, self.parts, self.softCap, self.targets) = (compute, parts, softCap, targets)
        self.hidden = compute.empty([rows.count, hidden.columns])
        ownRows = compute.empty([rows.count, hidden.columns])
        references = compute.empty([rows.count])
        forEachRow { row in
            let state = self.hidden.output + row * hidden.columns
            compute.readRows(hidden, rows[row]..<rows[row] + 1) { state.update(from: $0, count: hidden.columns) }
        }
        forEachPart { first, part in
            forEachRow { row in
                let id = Int(targets[row]) - first
                if id >= 0 && id < part.rows { refer(row, to: id, of: part) }
            }
        }
    }

    /// Takes a row's reference from the logit of its target.
    private func refer(_ row: Int, to id: Int, of part: Weight) {
        let (width, at) = (Int64(hidden.columns), row * hidden.columns)
        part.expand(rows: id..<id + 1, precision: compute.operandPrecision, into: ownRows.output + at)
        var logit: Float = 0
        martlet_row_dots(1, width, hidden.floats + at, width, ownRows.floats + at, width, &logit)
        references.output[row] = capped(logit) + Self.offset
    }

    private func forEachRow(_ body: (Int) -> Void) {
        compute.forEachRowBlock(of: targets.count, rowElements: hidden.columns) { $0.forEach(body) }
    }

    /// About what the cap leaves of a logit.
    private func capped(_ logit: Float) -> Float { softCap.map { min($0, max(-$0, logit)) } ?? logit }

    /// Losses of the rows, and `totals[r]` times the gradient of a row's hidden state.
    func losses(withGradient: Bool) -> (losses: Tensor, totals: Tensor, gradient: Tensor?) {
        var found = pass(withGradient)
        if (0..<found.totals.count).contains(where: { !(found.totals.floats[$0] < Self.mostTotal) }) {
            findLargest()
            found.gradient = nil
            found = pass(withGradient)
        }
        if let gradient = found.gradient { add(found.own, to: gradient) }
        return (found.losses, found.totals, found.gradient)
    }

    /// Losses, sums of exponentials, and of the gradient what comes from all but the targets, whose factors are `own`.
    private func pass(_ withGradient: Bool) -> (losses: Tensor, totals: Tensor, own: Tensor, gradient: Tensor?) {
        func empty() -> Tensor { compute.empty([hidden.rows]) }
        let (picked, losses, totals, own) = (empty(), empty(), empty(), empty())
        var gradient: Tensor?
        let sums = partialResults(0)
        forEachPart { first, part in
            let exponentials = withGradient ? room(for: part) : nil
            forEachTile(of: part, first, leaving: exponentials, sums) { tile, row, sums in
                martlet_softmax_of_logits(&tile, sums, picked.output + row)
            }
            if let exponentials { compute.product(exponentials, part, addedTo: &gradient) }
        }
        withLogits { all in
            martlet_cross_entropy(
                &all, Int64(sums.rows), sums.floats, picked.floats, totals.output, losses.output, own.output)
        }
        return (losses, totals, own, gradient)
    }

    /// Calls `body` with every part of the head and its first id.
    private func forEachPart(_ body: (_ first: Int, Weight) -> Void) {
        var first = 0
        for part in parts {
            body(first, part)
            part.release()
            first += part.rows
        }
    }

    /// Room for gradients of logits: in bfloat16 in rows that products read where they lie, since they are not a power of two
    /// apart.
    private func room(for part: Weight) -> Tensor {
        let type = compute.precision.activationType
        if type == .float32 { return compute.empty([hidden.rows, part.rows]) }
        return compute.empty([hidden.rows, part.rows + TilePack.depth], type).columnSlice(0..<part.rows)
    }

    /// Makes every row's largest logit what is subtracted from it.
    private func findLargest() {
        let maxima = partialResults(-.infinity)
        forEachPart { first, part in
            forEachTile(of: part, first, leaving: nil, maxima) { tile, _, maxima in
                martlet_row_maxima(tile.rows, tile.columns, tile.values, tile.stride, maxima)
            }
        }
        for row in 0..<hidden.rows {
            let largest = (0..<maxima.rows).reduce(-.infinity) { max($0, maxima.floats[$1 * maxima.columns + row]) }
            references.output[row] = capped(largest)
        }
    }

    /// A number for every row and step of the vocabulary, `[steps, rows]`.
    private func partialResults(_ value: Float) -> Tensor {
        let vocabulary = parts.reduce(0) { $0 + $1.rows }
        let steps = compute.empty([(vocabulary + Compute.sharedTileStep - 1) / Compute.sharedTileStep, hidden.rows])
        steps.output.update(repeating: value, count: steps.count)
        return steps
    }

    /// Calls `body` with every tile of the logits of a part, its first row, and the place for its partial results.
    private func forEachTile(
        of part: Weight, _ first: Int, leaving kept: Tensor?, _ steps: Tensor,
        _ body: (inout martlet_logits, _ row: Int, UnsafeMutablePointer<Float>) -> Void
    ) {
        withLogits { all in
            compute.product(hidden, transposed: part, into: kept) { [all] rows, columns, values, stride in
                var tile = all
                let id = first + columns.lowerBound
                (tile.rows, tile.columns, tile.first) = (Int64(rows.count), Int64(columns.count), Int64(id))
                (tile.values, tile.stride) = (values, Int64(stride))
                tile.references += rows.lowerBound
                tile.targets += rows.lowerBound
                body(&tile, rows.lowerBound, steps.output + id / Compute.sharedTileStep * steps.columns + rows.lowerBound)
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

    /// Adds what comes from the targets to the gradients of the hidden states.
    private func add(_ own: Tensor, to gradient: Tensor) {
        forEachRow { row in
            let at = row * hidden.columns
            martlet_add_scaled(Int64(hidden.columns), own.floats[row], ownRows.floats + at, gradient.output + at)
        }
    }
}
