import CKernels

/// The thin products of adapters, for which sgemm spends more time on packing than on multiplying.
extension Compute {
    /// `h[rows, rank] = scale · x[rows, columns] · aᵀ` with `a [rank, columns]`, float32.
    package func lowRankProduct(_ x: Tensor, _ a: Tensor, scale: Float = 1) -> Tensor {
        precondition(x.columns == a.columns, "thin product of \(x.shape) with transposed \(a.shape)")
        let (rank, h) = (a.rows, empty([x.rows, a.rows]))
        forEachRowBlock(of: x.rows, rowElements: x.columns) { rows in
            readRows(x, rows) { values in
                let target = h.output + rows.lowerBound * rank
                martlet_low_rank_project(Int64(rows.count), Int64(x.columns), Int64(rank), values, a.floats, target)
                if scale != 1 { martlet_scale(Int64(rows.count * rank), scale, target, target) }
            }
        }
        return h
    }

    /// `target (+)= scale · gᵀ · x`, `[rank, columns]`, or its transpose `[columns, rank]`; rows are summed in order.
    /// - Parameters: `g` is `[rows, rank]` in float32, `x` `[rows, columns]`.
    package func lowRankGradient(
        _ g: Tensor, _ x: Tensor, scale: Float = 1, transposed: Bool = false, adding: Bool,
        into target: UnsafeMutablePointer<Float>
    ) {
        precondition(g.rows == x.rows, "thin product of transposed \(g.shape) with \(x.shape)")
        let (x, rank) = (rounded(x), g.columns)
        let pieces = TileGrid.pieces(x.columns, target: 64)
        threads.run(tiles: pieces.count) { tile in
            let columns = pieces[tile]
            withScratch(rank * columns.count) { sum in
                sum.update(repeating: 0, count: rank * columns.count)
                martlet_low_rank_gradient(
                    Int64(g.rows), Int64(columns.count), Int64(rank), g.floats, x.floats + columns.lowerBound,
                    Int64(x.columns), sum, Int64(columns.count))
                for k in 0..<rank {
                    for column in columns {
                        let at = transposed ? column * rank + k : k * x.columns + column
                        let value = scale * sum[k * columns.count + column - columns.lowerBound]
                        target[at] = adding ? target[at] + value : value
                    }
                }
            }
        }
    }

    /// The transpose of a small float32 matrix.
    package func transposed(_ tensor: Tensor) -> Tensor {
        let result = empty([tensor.columns, tensor.rows])
        for row in 0..<tensor.rows {
            for column in 0..<tensor.columns { result.output[column * tensor.rows + row] = tensor.floats[row * tensor.columns + column] }
        }
        return result
    }
}
