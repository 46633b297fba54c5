import CKernels

/// Elements of a float32 tensor seen as a matrix: a factor inside a tensor that holds many, or a transpose.
package struct StridedMatrix: Sendable {
    /// What holds the elements.
    package let tensor: Tensor
    private let offset, rowStride, columnStride: Int

    /// Element at row 0, column 0, and the distance between rows and between columns.
    package init(_ tensor: Tensor, offset: Int, rowStride: Int, columnStride: Int) {
        (self.tensor, self.offset, self.rowStride, self.columnStride) = (tensor, offset, rowStride, columnStride)
    }

    /// The same elements read as the transpose.
    package var transposed: StridedMatrix {
        StridedMatrix(tensor, offset: offset, rowStride: columnStride, columnStride: rowStride)
    }

    /// Some columns where they lie, if the elements of a row follow one another, or, where it may be transposed, those of
    /// a column. Valid while the tensor lives.
    package func inPlace(from column: Int, mayBeTransposed: Bool) -> MatrixPointer? {
        let start = tensor.floats + offset + column * columnStride
        if columnStride == 1 { return MatrixPointer(start, stride: rowStride) }
        return mayBeTransposed && rowStride == 1 ? MatrixPointer(start, stride: columnStride).transposed : nil
    }

    /// The elements of some rows, `[rows.count, columns]`.
    package func values(rows: Range<Int>, columns: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: rows.count * columns) { buffer, count in
            count = rows.count * columns
            if let target = buffer.baseAddress { copy(rows: rows, columns: columns, to: target) }
        }
    }

    /// Writes the elements of some rows, `[rows.count, columns]`.
    package func copy(rows: Range<Int>, columns: Int, to target: UnsafeMutablePointer<Float>) {
        copy(rows: rows, columns: 0..<columns, to: target)
    }

    /// Writes some elements of some rows, `[rows.count, columns.count]`.
    package func copy(rows: Range<Int>, columns: Range<Int>, to target: UnsafeMutablePointer<Float>) {
        let start = tensor.floats + offset + rows.lowerBound * rowStride + columns.lowerBound * columnStride
        martlet_strided_copy(
            Int64(rows.count), Int64(columns.count), start, Int64(rowStride), Int64(columnStride), target)
    }
}

/// Where the float32 elements of a matrix go: a factor's gradient inside a tensor that holds many, or a transpose.
package struct StridedTarget {
    private let start: UnsafeMutablePointer<Float>
    private let rowStride, columnStride: Int
    /// Whether they are added to what is there.
    let adding: Bool

    /// Element at row 0, column 0, and the distance between rows and between columns.
    package init(_ start: UnsafeMutablePointer<Float>, rowStride: Int, columnStride: Int, adding: Bool) {
        (self.start, self.rowStride, self.columnStride, self.adding) = (start, rowStride, columnStride, adding)
    }

    /// The same elements as the transpose.
    var transposed: StridedTarget {
        StridedTarget(start, rowStride: columnStride, columnStride: rowStride, adding: adding)
    }

    /// The same from then on added to what is there.
    package var further: StridedTarget {
        StridedTarget(start, rowStride: rowStride, columnStride: columnStride, adding: true)
    }

    /// The matrix where it lies, if the elements of a row follow one another.
    var inPlace: (start: UnsafeMutablePointer<Float>, stride: Int)? {
        columnStride == 1 ? (start, rowStride) : nil
    }

    /// Writes a row whose elements follow one another, or adds it.
    func putRow(_ row: Int, _ values: UnsafePointer<Float>, count: Int) {
        let target = start + row * rowStride
        if adding { martlet_add(Int64(count), target, values, target) } else { target.update(from: values, count: count) }
    }

    /// Writes the elements of a dense matrix, or adds them.
    func put(_ values: UnsafePointer<Float>, rows: Int, columns: Int) {
        martlet_strided_put(
            Int64(rows), Int64(columns), values, adding ? 1 : 0, start, Int64(rowStride), Int64(columnStride))
    }
}
