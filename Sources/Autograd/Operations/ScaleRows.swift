import CKernels
public import TensorCore

extension Graph {
    /// Every row times its own fixed factor: `y[r] = factors[r] · x[r]`. Derivative: the same factors.
    /// - Parameters:
    ///   - x: `[tokens, width]`.
    ///   - factors: `[tokens]`, float32.
    public func scaleRows(_ x: Variable, by factors: Tensor) -> Variable {
        precondition(factors.count == x.value.rows, "\(factors.count) factors for \(x.value.rows) rows")
        let compute = compute
        return record("scale rows", compute.scaledRows(x.value, factors), inputs: [x]) { [compute.scaledRows($0, factors)] }
    }
}

extension Compute {
    fileprivate func scaledRows(_ x: Tensor, _ factors: Tensor) -> Tensor {
        let y = empty(x.shape, x.elementType)
        forEachRowBlock(of: x.rows, rowElements: x.columns) { rows in
            readRows(x, rows) { input in
                writeRows(y, rows) { output in
                    for (index, row) in rows.enumerated() {
                        let at = index * x.columns
                        martlet_scale(Int64(x.columns), factors.floats[row], input + at, output + at)
                    }
                }
            }
        }
        return y
    }
}
