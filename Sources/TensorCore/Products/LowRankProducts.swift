import CKernels

/// The thin products of adapters, for which sgemm spends more time on packing than on multiplying.
extension Compute {
    /// `h[rows, rank] = scale · x[rows, columns] · aᵀ` with `a [rank, columns]`, float32.
    package func lowRankProduct(_ x: Tensor, _ a: Tensor, scale: Float = 1) -> Tensor {
        precondition(x.columns == a.columns, "thin product of \(x.shape) with transposed \(a.shape)")
        if let tiles { return thinProduct(x, TileSource(a).transposed, rank: a.rows, scale: scale, on: tiles) }
        let (rank, h) = (a.rows, empty([x.rows, a.rows]))
        forEachRowBlock(of: x.rows, rowElements: x.columns) { rows in
            readRows(x, rows) { values in
                let target = h.output + rows.lowerBound * rank
                fewProducts(
                    rows.count, rank, x.columns, MatrixPointer(values, stride: x.columns),
                    MatrixPointer(a.floats, stride: x.columns), into: target, stride: rank)
                if scale != 1 { martlet_scale(Int64(rows.count * rank), scale, target, target) }
            }
        }
        return h
    }

    /// Gradients of `y = scale · x · aᵀ · bᵀ` with respect to `a` and `b`, and `g = scale · dy · b` for that of `x`.
    ///
    /// Tokens are walked once, in blocks that stay in cache for all four products. Every 256 tokens have sums of their
    /// own, which are added up in order, so that threads do not decide the result.
    /// - Parameters:
    ///   - x: `[rows, inputs]`; `dy`: `[rows, outputs]`.
    ///   - a: `[rank, inputs]`; `b`: `[outputs, rank]`.
    ///   - hidden: `x · aᵀ` from the forward pass, if it was kept.
    /// - Returns: `g [rows, rank]`, `dA [rank, inputs]` and the transpose of dB, `[rank, outputs]`.
    package func lowRankBackward(
        _ x: Tensor, _ dy: Tensor, a: Tensor, b: Tensor, scale: Float, hidden: Tensor? = nil
    ) -> (g: Tensor, dA: Tensor, dBTransposed: Tensor) {
        precondition(x.rows == dy.rows && a.columns == x.columns && b.rows == dy.columns && a.rows == b.columns)
        if let tiles { return tileLowRankBackward(x, dy, a: a, b: b, scale: scale, hidden: hidden, on: tiles) }
        let (bTransposed, rank, inputs, outputs, sumRows) = (transposed(b), a.rows, x.columns, dy.columns, 256)
        let g = empty([x.rows, rank])
        let sums = (0..<(x.rows + sumRows - 1) / sumRows).map { _ in empty([rank, inputs + outputs]) }
        threads.run(tiles: sums.count) { tile in
            let (dA, dB) = (sums[tile].output, sums[tile].output + inputs)
            let (start, wide) = (tile * sumRows, Int64(inputs + outputs))
            forEachOperands(of: x, dy, start..<min(x.rows, start + sumRows)) { rows, xs, dys in
                let (count, k, gs) = (Int64(rows.count), Int64(rank), g.output + rows.lowerBound * rank)
                withScratch(rows.count * rank) { h in
                    let kept = hidden.map { $0.floats + rows.lowerBound * rank }
                    if kept == nil {
                        let a = MatrixPointer(a.floats, stride: inputs)
                        fewProducts(rows.count, rank, inputs, xs, a, into: h, stride: rank)
                    }
                    let b = MatrixPointer(bTransposed.floats, stride: outputs)
                    fewProducts(rows.count, rank, outputs, dys, b, into: gs, stride: rank)
                    martlet_scale(count * k, scale, gs, gs)
                    martlet_scale(count * k, scale, kept ?? UnsafePointer(h), h)
                    let isFurther: Int32 = rows.lowerBound > start ? 1 : 0
                    martlet_low_rank_gradient(
                        count, Int64(inputs), k, gs, k, xs.start, Int64(xs.stride), isFurther, dA, wide)
                    martlet_low_rank_gradient(
                        count, Int64(outputs), k, h, k, dys.start, Int64(dys.stride), isFurther, dB, wide)
                }
            }
        }
        let (dA, dB) = added(sums, split: inputs)
        return (g, dA, dB)
    }

    /// Calls `body` with a few rows of both tensors at a time, as products see them.
    private func forEachOperands(
        of x: Tensor, _ dy: Tensor, _ rows: Range<Int>, _ body: (Range<Int>, MatrixPointer, MatrixPointer) -> Void
    ) {
        for rows in TileGrid.heights(of: rows, at: 32) {
            withOperand(x, rows) { xs in withOperand(dy, rows) { body(rows, xs, $0) } }
        }
    }

    /// Adds matrices up in order and splits the columns of the sum.
    private func added(_ sums: [Tensor], split: Int) -> (Tensor, Tensor) {
        let (rank, wide) = (sums[0].rows, sums[0].columns)
        let (left, right) = (empty([rank, split]), empty([rank, wide - split]))
        threads.run(tiles: rank) { row in
            let total = sums[0].output + row * wide
            for other in sums.dropFirst() { martlet_add(Int64(wide), total, other.floats + row * wide, total) }
            (left.output + row * split).update(from: total, count: split)
            (right.output + row * (wide - split)).update(from: total + split, count: wide - split)
        }
        return (left, right)
    }

    /// `h[rows, rank] = scale · x[rows, columns] · aᵀ` on the calling thread; `x` and `a` have row strides, `h` is
    /// dense.
    package func thinProject(
        rows: Int, columns: Int, rank: Int, scale: Float, _ x: MatrixPointer, _ a: MatrixPointer,
        into h: UnsafeMutablePointer<Float>
    ) {
        if tiles != nil {
            multiply(rows, rank, columns, x, a.transposed, into: h, stride: rank)
        } else {
            fewProducts(rows, rank, columns, x, a, into: h, stride: rank)
        }
        martlet_scale(Int64(rows * rank), scale, h, h)
    }

    /// `out[rows, columns] = left[rows, rank] · right[rank, columns]`, or added to it, on the calling thread; `left` is
    /// dense.
    package func thinExpand(
        rows: Int, columns: Int, rank: Int, _ left: UnsafePointer<Float>, _ right: MatrixPointer, accumulate: Bool,
        into out: UnsafeMutablePointer<Float>, stride: Int
    ) {
        let left = MatrixPointer(left, stride: rank)
        // Whole vectors by our own kernel, which copies nothing.
        let vectors = tiles == nil && rank > 0 ? columns / 16 : 0
        if vectors > 0 {
            var product = martlet_block_product()
            (product.rows, product.vectors, product.depth) = (Int64(rows), Int64(vectors), Int64(rank))
            (product.left, product.left_stride) = (left.start, Int64(rank))
            (product.right, product.right_stride) = (right.start, Int64(right.stride))
            (product.result, product.result_stride, product.accumulate) = (out, Int64(stride), accumulate ? 1 : 0)
            martlet_block_product(&product)
        }
        let done = 16 * vectors
        if done == columns { return }
        multiply(
            rows, columns - done, rank, left, right.from(column: done),
            beta: accumulate ? 1 : 0, into: out + done, stride: stride)
    }

    /// `out[rank, columns] = g[rows, rank]ᵀ · x[rows, columns]`, or added to it, on the calling thread; `x` has row
    /// strides.
    package func thinGradient(
        rows: Int, columns: Int, rank: Int, _ g: UnsafePointer<Float>, _ x: MatrixPointer, into out: StridedTarget
    ) {
        precondition(rows > 0, "a gradient of no rows")
        // Where the result lies transposed and its rank is whole vectors, those lie along the rank.
        if tiles == nil, rank % 16 == 0, let place = out.transposed.inPlace {
            return martlet_low_rank_gradient(
                Int64(rows), Int64(rank), Int64(columns), x.start, Int64(x.stride), g, Int64(rank),
                out.adding ? 1 : 0, place.start, Int64(place.stride))
        }
        func product(into target: UnsafeMutablePointer<Float>, stride: Int, adding: Bool) {
            if tiles == nil {
                return martlet_low_rank_gradient(
                    Int64(rows), Int64(columns), Int64(rank), g, Int64(rank), x.start, Int64(x.stride), adding ? 1 : 0,
                    target, Int64(stride))
            }
            multiply(
                rank, columns, rows, MatrixPointer(g, stride: rank).transposed, x, beta: adding ? 1 : 0, into: target,
                stride: stride)
        }
        if let place = out.inPlace { return product(into: place.start, stride: place.stride, adding: out.adding) }
        withScratch(rank * columns) { values in
            product(into: values, stride: columns, adding: false)
            out.put(values, rows: rank, columns: columns)
        }
    }

    /// The transpose of a small float32 matrix.
    package func transposed(_ tensor: Tensor) -> Tensor {
        let result = empty([tensor.columns, tensor.rows])
        martlet_strided_copy(
            Int64(tensor.columns), Int64(tensor.rows), tensor.floats, 1, Int64(tensor.columns), result.output)
        return result
    }
}
