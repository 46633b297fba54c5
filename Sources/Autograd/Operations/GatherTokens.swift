import CKernels
import TensorCore

extension Graph {
    /// Copies the rows of tokens to where their experts find them: `y[row] = s · x[token of row]`.
    ///
    /// Derivative: a token sums the gradients of its rows in the order of its choices; `ds = Σ dy · x`.
    /// - Parameters:
    ///   - x: `[tokens, width]`.
    ///   - weights: factors `[tokens, chosen]`, float32 (Llama 4 scales the input of experts); `nil` copies.
    /// - Returns: `[tokens · chosen, width]` in the activation type of the precision.
    public func gather(_ x: Variable, groups: TokenGroups, weights: Variable? = nil) -> Variable {
        let (compute, input, factors) = (compute, x.value, weights?.value)
        precondition(input.rows == groups.tokenCount, "\(input.rows) rows for \(groups.tokenCount) tokens")
        let (width, chosen) = (input.columns, groups.chosen)
        let y = compute.empty([groups.rows.count, width], compute.precision.activationType)
        compute.forEachRowBlock(of: input.rows, rowElements: width * chosen) { tokens in
            compute.readRows(input, tokens) { values in
                for token in tokens {
                    let row = values + (token - tokens.lowerBound) * width
                    for choice in token * chosen..<(token + 1) * chosen {
                        compute.writeRow(y, Int(groups.rows[choice])) { target in
                            martlet_scale(Int64(width), factors.map { $0.floats[choice] } ?? 1, row, target)
                        }
                    }
                }
            }
        }
        let wantsInput = x.needsGradient
        return record("gather", y, inputs: [x] + (weights.map { [$0] } ?? [])) { dy in
            let dx = wantsInput ? compute.empty(input.shape, compute.precision.activationType) : nil
            let dFactors = weights?.needsGradient == true ? compute.empty([groups.tokenCount, chosen]) : nil
            compute.forEachRowBlock(of: input.rows, rowElements: width * chosen) { tokens in
                for token in tokens {
                    let choices = token * chosen..<(token + 1) * chosen
                    if let dx {
                        compute.writeRow(dx, token) { sum in
                            sum.update(repeating: 0, count: width)
                            for choice in choices {
                                compute.readRow(dy, Int(groups.rows[choice])) {
                                    martlet_add_scaled(Int64(width), factors.map { $0.floats[choice] } ?? 1, $0, sum)
                                }
                            }
                        }
                    }
                    guard let dFactors else { continue }
                    compute.readRow(input, token) { row in
                        for choice in choices {
                            compute.readRow(dy, Int(groups.rows[choice])) {
                                martlet_row_dots(
                                    1, Int64(width), $0, Int64(width), row, Int64(width), dFactors.output + choice)
                            }
                        }
                    }
                }
            }
            return [dx] + (weights == nil ? [] : [dFactors])
        }
    }
}

extension Compute {
    /// Calls `body` with one row as float32.
    func readRow(_ tensor: Tensor, _ row: Int, _ body: (UnsafePointer<Float>) -> Void) {
        readRows(tensor, row..<row + 1, body)
    }

    /// Calls `body` with memory for one row as float32 and stores what it leaves there.
    func writeRow(_ tensor: Tensor, _ row: Int, _ body: (UnsafeMutablePointer<Float>) -> Void) {
        writeRows(tensor, row..<row + 1, body)
    }
}
