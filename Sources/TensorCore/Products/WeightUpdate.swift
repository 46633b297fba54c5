/// A low-rank matrix that is added to a weight while a product uses it: `scale · b · a`.
package struct WeightUpdate {
    /// `[rank, inputs]` and `[outputs, rank]`, float32.
    let a, b: Tensor
    let scale: Float

    package init(a: Tensor, b: Tensor, scale: Float) { (self.a, self.b, self.scale) = (a, b, scale) }

    /// Adds the given rows of the update to `values`, `[rows.count, inputs]`.
    func add(to values: UnsafeMutablePointer<Float>, rows: Range<Int>) {
        let rank = b.columns
        sgemm(
            rows.count, a.columns, rank, alpha: scale, MatrixPointer(b.floats + rows.lowerBound * rank, stride: rank),
            MatrixPointer(a.floats, stride: a.columns), beta: 1, into: values, stride: a.columns)
    }
}
