import CKernels
public import TensorCore

extension Graph {
    /// Rows of a frozen table: `y[i] = table[tokens[i]]`, float32 `[tokens, hidden]`.
    /// - Precondition: every token is a row of the table; check ids where they come from.
    public func embedding(_ tokens: [Int32], table: Weight) -> Variable {
        let y = compute.empty([tokens.count, table.columns])
        let precision = compute.precision
        compute.forEachRowBlock(of: tokens.count, rowElements: table.columns) { rows in
            for row in rows {
                let token = Int(tokens[row])
                table.expand(rows: token..<token + 1, precision: precision, into: y.output + row * table.columns)
            }
        }
        return Variable(constant: y)
    }
}
