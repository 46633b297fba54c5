import CKernels
import TensorCore

/// The derivative of attention.
///
/// Keys are gone through in stretches, one after another, all sequences at a time. For a stretch, parts of the queries
/// that see it sum gradients of its keys and values apart from each other; then the parts are added up in their order.
/// Within a stretch a query belongs to one part only, which adds to its gradient. So nothing depends on the number of
/// threads. The sums of a stretch are as large as two or three times the gradients of all keys and values.
extension AttentionPass {
    /// Keys in a stretch.
    private static let stretch = 512
    /// Queries in a part.
    private static let partSize = 256

    /// Gradients of the keys `keys` of a sequence at one head, from the queries `queries`.
    private struct Part {
        let sequence, head: Int
        let queries, keys: Range<Int>
        /// Where its sums lie among those of all parts.
        var offset = 0
    }

    /// What all parts read.
    private struct Inputs {
        let keys, values: AttentionOperand
        let dOutput, lse, delta: Tensor
    }

    /// Gradients of q, k and v in float32, from those of the outputs and the outputs, of either type.
    func backward(_ dOutput: Tensor, _ output: Tensor, _ lse: Tensor) -> (dq: Tensor, dk: Tensor, dv: Tensor) {
        precondition(layout.prefix == 0 && k.rows == q.rows, "attention over a cache has no derivative")
        let dq = compute.empty(q.shape)
        let dk = compute.empty([q.rows, options.keyValueHeads * options.headSize])
        let dv = compute.empty([q.rows, options.keyValueHeads * options.valueSize])
        let (dOutput, delta) = operands(dOutput, output)
        let (keys, lse) = centred(lse)
        let inputs = Inputs(
            keys: AttentionOperand(
                keys, options.headSize, layout, .both, exact: true, inFloat16: isInFloat16, on: compute.tiles, compute),
            values: AttentionOperand(
                v, options.valueSize, layout, .whole, inFloat16: isInFloat16, on: compute.tiles, compute),
            dOutput: dOutput, lse: lse, delta: delta)
        for stretch in TileOrder.pieces(0..<layout.longest, Self.stretch) {
            var parts = parts(stretch), count = 0
            for index in parts.indices {
                parts[index].offset = count
                count += parts[index].keys.count * (keyWidth + valueWidth)
            }
            let order = TileOrder.heaviestFirst(parts) { cost($0) }
            compute.withScratch(count) { sums in
                compute.threads.run(tiles: order.count) { tile in
                    add(order[tile], inputs, to: dq, sums + order[tile].offset)
                }
                join(parts, sums, into: dk, dv)
            }
        }
        return (dq, dk, dv)
    }

    /// Keys without the mean of their sequence, and the log-sum-exps that belong to them.
    ///
    /// Gradients of a query's scores add up to zero, so that what all keys share takes no part in its gradient, but for what
    /// rounding leaves of that zero; and biases make it large. Scores lose `q · mean` each, and so does the log-sum-exp. Where
    /// scores are capped or have a sink besides, none of this holds.
    private func centred(_ lse: Tensor) -> (keys: Tensor, lse: Tensor) {
        if options.softCap != nil || sinks != nil { return (k, lse) }
        let (size, width, k) = (options.headSize, k.columns, compute.converted(k, to: .float32))
        let (keys, shifted) = (compute.empty([q.rows, width]), compute.empty(lse.shape))
        compute.threads.run(tiles: layout.sequenceCount * options.keyValueHeads) { tile in
            let (sequence, head) = (tile / options.keyValueHeads, tile % options.keyValueHeads)
            let rows = layout.offsets[sequence]..<layout.offsets[sequence + 1], column = head * size
            compute.withScratch(size) { negative in
                negative.update(repeating: 0, count: size)
                for row in rows { martlet_add(Int64(size), negative, k.floatRows + row * k.rowStride + column, negative) }
                martlet_scale(Int64(size), -1 / Float(max(1, rows.count)), negative, negative)
                for row in rows {
                    martlet_add(
                        Int64(size), k.floatRows + row * k.rowStride + column, negative, keys.output + row * width + column)
                }
                for query in head * group..<(head + 1) * group {
                    let place = shifted.output + query * q.rows + rows.lowerBound
                    martlet_row_dots(
                        Int64(rows.count), Int64(size), q.floats + rows.lowerBound * q.columns + query * size,
                        Int64(q.columns), negative, 0, place)
                    martlet_scale(Int64(rows.count), options.scale, place, place)
                    martlet_add(Int64(rows.count), place, lse.floats + query * q.rows + rows.lowerBound, place)
                }
            }
        }
        return (keys, shifted)
    }

    /// Columns of sums: sizes of heads rounded up to vectors.
    private var keyWidth: Int { (options.headSize + 15) / 16 * 16 }
    private var valueWidth: Int { (options.valueSize + 15) / 16 * 16 }

    /// Parts of a stretch of keys, those of one sequence and head one after another.
    private func parts(_ stretch: Range<Int>) -> [Part] {
        (0..<layout.sequenceCount).flatMap { sequence in
            let rows = layout.offsets[sequence]..<layout.offsets[sequence + 1]
            let keys = stretch.clamped(to: 0..<rows.count)
            let queries = TileOrder.pieces(rows, Self.partSize).filter { visibleKeys($0).overlaps(keys) }
            return (0..<options.keyValueHeads).flatMap { head in
                queries.map { Part(sequence: sequence, head: head, queries: $0, keys: keys) }
            }
        }
    }

    /// Scores that a part computes, about.
    private func cost(_ part: Part) -> Int {
        TileOrder.pieces(part.queries, Self.blockSize).reduce(0) {
            $0 + $1.count * visibleKeys($1).clamped(to: part.keys).count
        }
    }

    /// Gradients of a part: of its queries in place, of its keys and values in `sums`.
    private func add(_ part: Part, _ inputs: Inputs, to dq: Tensor, _ sums: UnsafeMutablePointer<Float>) {
        let values = sums + part.keys.count * keyWidth
        sums.update(repeating: 0, count: part.keys.count * (keyWidth + valueWidth))
        var (shape, k) = (shape, inputs.keys.at(part.sequence, part.head))
        var v = inputs.values.at(part.sequence, part.head)
        compute.withScratch(Int(martlet_attention_backward_scratch(&shape))) { scratch in
            for head in part.head * group..<(part.head + 1) * group {
                for queries in TileOrder.pieces(part.queries, Self.blockSize) {
                    let visible = visibleKeys(queries), keys = visible.clamped(to: part.keys)
                    if keys.isEmpty { continue }
                    let (row, skipped) = (queries.lowerBound, keys.lowerBound - part.keys.lowerBound)
                    let at = row * q.columns + head * options.headSize
                    withBlock(queries, keys) { block in
                        martlet_attention_backward(
                            &shape, block, q.floats + at, &k, &v,
                            inputs.dOutput.floats + row * inputs.dOutput.columns + head * options.valueSize,
                            inputs.lse.floats + head * q.rows + row, inputs.delta.floats + head * q.rows + row, scratch,
                            dq.output + at, visible.lowerBound < part.keys.lowerBound ? 1 : 0,
                            sums + skipped * keyWidth, values + skipped * valueWidth)
                    }
                }
            }
        }
    }

    /// Adds up the parts of every sequence and head, in their order, a few rows at a time.
    private func join(_ parts: [Part], _ sums: UnsafeMutablePointer<Float>, into dk: Tensor, _ dv: Tensor) {
        let starts = parts.indices.filter { index in
            index == 0
                || (parts[index - 1].sequence, parts[index - 1].head) != (parts[index].sequence, parts[index].head)
        }
        let pieces = zip(starts, starts.dropFirst() + [parts.count]).flatMap { start, end in
            TileOrder.pieces(0..<parts[start].keys.count, Self.blockSize).map { (start..<end, $0) }
        }
        compute.threads.run(tiles: pieces.count) { tile in
            let (same, rows) = pieces[tile]
            let part = parts[same.lowerBound]
            let row = layout.offsets[part.sequence] + part.keys.lowerBound + rows.lowerBound
            let values = part.keys.count * keyWidth
            join(
                parts[same].map { sums + $0.offset + rows.lowerBound * keyWidth }, rows.count, keyWidth,
                options.headSize, into: dk, row: row, head: part.head)
            join(
                parts[same].map { sums + $0.offset + values + rows.lowerBound * valueWidth }, rows.count, valueWidth,
                options.valueSize, into: dv, row: row, head: part.head)
        }
    }

    /// Adds rows of all parts to those of the first and copies them to their place.
    private func join(
        _ parts: [UnsafeMutablePointer<Float>], _ rows: Int, _ width: Int, _ size: Int, into target: Tensor, row: Int,
        head: Int
    ) {
        for part in parts.dropFirst() { martlet_add(Int64(rows * width), parts[0], part, parts[0]) }
        let (start, stride) = (target.output + row * target.columns + head * size, target.columns)
        for index in 0..<rows { (start + index * stride).update(from: parts[0] + index * width, count: size) }
    }

    /// Gradients of outputs as float32, rounded if the precision says so, and `Σ dO·O` of every head and token,
    /// `[heads, tokens]`: both in one pass.
    private func operands(_ dOutput: Tensor, _ output: Tensor) -> (dOutput: Tensor, delta: Tensor) {
        let given = compute.converted(dOutput, to: compute.precision.activationType)
        let floats = given.elementType == .float32 ? given : compute.empty(given.shape)
        let delta = compute.empty([options.heads, q.rows])
        let width = output.columns
        compute.forEachRowBlock(of: q.rows, rowElements: width) { rows in
            if given.elementType != .float32 { compute.copyRows(given, rows, to: floats) }
            compute.readRows(output, rows) { output in
                for head in 0..<options.heads {
                    let column = head * options.valueSize
                    martlet_row_dots(
                        Int64(rows.count), Int64(options.valueSize), floats.floats + rows.lowerBound * width + column,
                        Int64(width), output + column, Int64(width), delta.output + head * q.rows + rows.lowerBound)
                }
            }
        }
        return (floats, delta)
    }
}
