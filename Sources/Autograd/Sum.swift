import CKernels
package import TensorCore

extension Compute {
    /// `a + b` in float32; in place of `a` if nothing else holds it.
    package func sum(_ a: inout Tensor, _ b: Tensor) -> Tensor {
        precondition(a.count == b.count, "sum of \(a.shape) and \(b.shape)")
        let target = a.elementType == .float32 && a.isDense && a.mayChange() ? a : empty(a.shape)
        forEachRowBlock(of: a.rows, rowElements: a.columns) { rows in
            readRows(a, rows) { left in
                readRows(b, rows) { right in
                    let out = target.output + rows.lowerBound * a.columns
                    martlet_add(Int64(rows.count * a.columns), left, right, out)
                }
            }
        }
        return target
    }
}
