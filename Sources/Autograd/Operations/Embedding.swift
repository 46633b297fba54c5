import CKernels
public import TensorCore

extension Graph {
    /// Rows of a frozen table: `y[i] = scale · table[tokens[i]]`, float32 `[tokens, hidden]`.
    /// - Parameter scale: is rounded like the table, to bfloat16 if the precision says so.
    /// - Precondition: every token is a row of the table; check ids where they come from.
    public func embedding(_ tokens: [Int32], table: Weight, scale: Float = 1) -> Variable {
        let y = compute.empty([tokens.count, table.columns])
        let precision = compute.precision
        let factor = compute.rounded(compute.tensor([scale], shape: [1])).floats[0]
        compute.forEachRowBlock(of: tokens.count, rowElements: table.columns) { rows in
            for row in rows {
                let token = Int(tokens[row])
                let target = y.output + row * table.columns
                table.expand(rows: token..<token + 1, precision: precision, into: target)
                if factor != 1 { martlet_scale(Int64(table.columns), factor, target, target) }
            }
        }
        check?.look(y, of: "embedding", at: "", on: compute)
        return Variable(constant: y)
    }
}
