import CKernels

/// Products that lose nothing to rounding, for the few that are worth it.
extension Compute {
    /// Columns of the result that are computed at a time, so that their operands stay in cache.
    private static let splitColumns = 512

    /// `c[m, n] = a[m, k] · bᵀ`, `b [n, k]`, of float32 numbers in every precision, on the calling thread.
    ///
    /// On tiles a number is the sum of two in bfloat16, its rounded value and what rounding took away: three products, the
    /// one of the two small parts being too small to count.
    package func multiplySplit(
        _ m: Int, _ n: Int, _ k: Int, _ a: MatrixPointer, _ b: MatrixPointer, into c: UnsafeMutablePointer<Float>,
        stride: Int
    ) {
        guard let tiles, m >= Self.fewRows, n > 0, k > 0 else {
            return sgemm(m, n, k, a, b.transposed, into: c, stride: stride)
        }
        let (most, step) = (min(n, Self.splitColumns), TilePack.step(depth: k))
        let (leftCount, rightCount) = (TilePack.count(m, depth: k), TilePack.count(most, depth: k))
        withScratch(max(m, most) * k) { low in
            withTileScratch(2 * (leftCount + rightCount)) { left in
                let right = left + 2 * leftCount
                TileSource(a).packLeft(rows: m, depth: k, into: left, step: step)
                TileSource(lowParts(a, m, k, into: low)).packLeft(rows: m, depth: k, into: left + leftCount, step: step)
                for first in Swift.stride(from: 0, to: n, by: most) {
                    let columns = first..<min(n, first + most)
                    let part = MatrixPointer(b.start + first * b.stride, stride: b.stride)
                    TileSource(part.transposed).packRight(columns: columns.count, depth: k, into: right, step: step)
                    TileSource(lowParts(part, columns.count, k, into: low).transposed).packRight(
                        columns: columns.count, depth: k, into: right + rightCount, step: step)
                    func operands(_ left: UnsafePointer<UInt16>, _ right: UnsafePointer<UInt16>) -> martlet_tile_operands {
                        martlet_tile_operands(
                            left: left, right: right, left_step: Int64(step), right_step: Int64(step),
                            depth: Int64(TilePack.depthBlocks(k)))
                    }
                    var product = martlet_tile_product(rows: 0..<m, columns: columns, into: c + first, stride: stride)
                    product.operands = (operands(left, right), operands(left + leftCount, right))
                    tiles.multiply(&product)
                    product = martlet_tile_product(rows: 0..<m, columns: columns, into: c + first, stride: stride)
                    product.operands.0 = operands(left, right + rightCount)
                    product.accumulate = 1
                    tiles.multiply(&product)
                }
            }
        }
    }

    /// `c[m, n] = a[m, k] · b[k, n]` with `a`, dense, as it is and `b` as products see it. Leaves something else in `a`.
    package func multiplySplit(
        _ m: Int, _ n: Int, _ k: Int, left a: UnsafeMutablePointer<Float>, _ b: MatrixPointer,
        into c: UnsafeMutablePointer<Float>, stride: Int
    ) {
        multiply(m, n, k, MatrixPointer(a, stride: k), b, into: c, stride: stride)
        guard tiles != nil, m >= Self.fewRows else { return }
        martlet_low_part(Int64(m * k), a, a)
        multiply(m, n, k, MatrixPointer(a, stride: k), b, beta: 1, into: c, stride: stride)
    }

    /// What rounding takes away from a matrix `[rows, columns]`, dense.
    private func lowParts(
        _ matrix: MatrixPointer, _ rows: Int, _ columns: Int, into low: UnsafeMutablePointer<Float>
    ) -> MatrixPointer {
        for row in 0..<rows {
            martlet_low_part(Int64(columns), matrix.start + row * matrix.stride, low + row * columns)
        }
        return MatrixPointer(low, stride: columns)
    }
}
