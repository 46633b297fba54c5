import CKernels

/// A thin product that is added to a product: `scale · left · right`, the way of a low-rank adapter through a layer.
package struct ThinTerm {
    /// `[rows, rank]`, float32.
    let left: Tensor
    /// `[rank, columns]`, float32.
    let right: MatrixPointer
    let scale: Float
    /// Keeps alive what `right` points at.
    private let owner: Tensor

    /// - Parameters:
    ///   - left: `[rows, rank]`.
    ///   - right: `[rank, columns]`, or with `isTransposed` `[columns, rank]`.
    package init(_ left: Tensor, _ right: Tensor, isTransposed: Bool, scale: Float = 1) {
        let matrix = MatrixPointer(right.floats, stride: right.columns)
        (self.left, self.right, self.scale) = (left, isTransposed ? matrix.transposed : matrix, scale)
        owner = right
    }

    package var rank: Int { left.columns }

    /// The right factor from a column on.
    func right(from column: Int) -> MatrixPointer { right.from(column: column) }

    /// Copies rows of the transposed right factor.
    func copyRight(_ columns: Range<Int>, into target: UnsafeMutablePointer<Float>, stride: Int) {
        let (along, across) = right.isTransposed ? (1, right.stride) : (right.stride, 1)
        for (row, column) in columns.enumerated() {
            for index in 0..<rank { target[row * stride + index] = right.start[column * across + index * along] }
        }
    }

    /// Adds some columns of the product to all rows of a result, a dot product for each: no number depends on the cut.
    /// The right factor is a transpose.
    func addDots(_ columns: Range<Int>, to target: UnsafeMutablePointer<Float>, stride: Int, on compute: Compute) {
        precondition(right.isTransposed && right.stride == rank, "dot products need rows of the right factor")
        let (rows, count) = (Int64(left.rows), Int64(columns.count))
        compute.withScratch(left.rows * columns.count) { sums in
            martlet_dot_rows_f32(
                rows, count, Int64(rank), left.floats, Int64(rank), right.start + columns.lowerBound * rank,
                Int64(4 * rank), 0, 0, sums, count)
            for row in 0..<left.rows {
                martlet_add_scaled(count, scale, sums + row * columns.count, target + row * stride)
            }
        }
    }

    /// Adds some rows and columns of the product to a tile of a result.
    func add(_ rows: Range<Int>, _ columns: Range<Int>, to tile: UnsafeMutablePointer<Float>, stride: Int) {
        sgemm(
            rows.count, columns.count, rank, alpha: scale,
            MatrixPointer(left.floats + rows.lowerBound * rank, stride: rank), right(from: columns.lowerBound), beta: 1,
            into: tile, stride: stride)
    }
}
