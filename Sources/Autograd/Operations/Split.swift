import TensorCore

extension Graph {
    /// Cuts the columns of `x` into parts that lie side by side, as fused projections have them. The parts are views.
    ///
    /// Derivative: the gradients of the parts side by side; zero where a part was not used.
    /// - Parameter widths: columns of each part, `[tokens, width]`; together all columns of `x`.
    public func split(_ x: Variable, widths: [Int]) -> [Variable] {
        precondition(widths.reduce(0, +) == x.value.columns, "cannot split \(x.value.shape) into columns \(widths)")
        // The parts write their gradients into one tensor. It reaches `x` when all of them have had their turn, because
        // the tape runs backwards and the whole was recorded before its parts.
        let whole = record("split", x.value, inputs: [x]) { [$0] }
        let joined = JoinedGradient(shape: x.value.shape, type: compute.precision.activationType, compute: compute)
        var (start, parts) = (0, [Variable]())
        for width in widths {
            let columns = start..<start + width
            start += width
            parts.append(
                record("split", x.value.columnSlice(columns), inputs: [whole]) { dy in [joined.write(dy, columns)] })
        }
        return parts
    }
}

/// The gradient of a tensor that was split.
private final class JoinedGradient {
    private let shape: [Int]
    private let type: ElementType
    private let compute: Compute
    private var tensor: Tensor?

    init(shape: [Int], type: ElementType, compute: Compute) {
        (self.shape, self.type, self.compute) = (shape, type, compute)
    }

    /// Takes the gradient of a part. The first part gets the tensor to hand on, the others only write into it.
    func write(_ gradient: Tensor, _ columns: Range<Int>) -> Tensor? {
        let isFirst = tensor == nil
        let whole = tensor ?? cleared()
        tensor = whole
        compute.forEachRowBlock(of: whole.rows, rowElements: columns.count) { rows in
            compute.readRows(gradient, rows) { values in
                compute.writeRows(whole, rows, columns: columns) {
                    $0.update(from: values, count: rows.count * columns.count)
                }
            }
        }
        return isFirst ? whole : nil
    }

    private func cleared() -> Tensor {
        let whole = compute.empty(shape, type)
        compute.forEachRowBlock(of: whole.rows, rowElements: whole.columns) { rows in
            compute.writeRows(whole, rows) { $0.update(repeating: 0, count: rows.count * whole.columns) }
        }
        return whole
    }
}
