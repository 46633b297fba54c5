/// A low-rank matrix that is added to a weight while a product uses it: `scale · b · a`.
package struct WeightUpdate {
    /// `[rank, inputs]` and `[outputs, rank]`, float32.
    let a, b: Tensor
    let scale: Float

    package init(a: Tensor, b: Tensor, scale: Float) { (self.a, self.b, self.scale) = (a, b, scale) }

    /// Adds the given part of the update to `values`, `[rows.count, columns.count]`.
    func add(to values: UnsafeMutablePointer<Float>, rows: Range<Int>, columns: Range<Int>) {
        let rank = b.columns
        sgemm(
            rows.count, columns.count, rank, alpha: scale, MatrixPointer(b.floats + rows.lowerBound * rank, stride: rank),
            MatrixPointer(a.floats + columns.lowerBound, stride: a.columns), beta: 1, into: values, stride: columns.count)
    }
}
