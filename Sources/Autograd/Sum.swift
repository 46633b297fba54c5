import CKernels
package import TensorCore

extension Compute {
    /// `a + b` in float32; in place of `a` if nothing else holds it.
    package func sum(_ a: inout Tensor, _ b: Tensor) -> Tensor {
        precondition(a.count == b.count, "sum of \(a.shape) and \(b.shape)")
        let target = room(forSumWith: &a)
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

    /// Where a float32 sum with a tensor goes: its own place if nothing else holds it.
    private func room(forSumWith a: inout Tensor) -> Tensor {
        a.elementType == .float32 && a.isDense && a.mayChange() ? a : empty(a.shape)
    }

    /// The same, if there is a tensor.
    func room(forSumWith a: inout Tensor?) -> Tensor? {
        guard var sum = a else { return nil }
        a = nil
        defer { a = sum }
        return room(forSumWith: &sum)
    }
}
