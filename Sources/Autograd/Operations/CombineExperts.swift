import CKernels
import TensorCore

extension Graph {
    /// Brings the results of experts back to their tokens: `y[token] = Σ weight · x[row]` over the token's choices, in
    /// their order.
    ///
    /// Derivative: `dx[row] = weight · dy[token]`, `dweight = dy[token] · x[row]`.
    /// - Parameters:
    ///   - x: `[tokens · chosen, width]`, rows by expert.
    ///   - weights: `[tokens, chosen]`, float32; `nil` adds up as it is.
    /// - Returns: `[tokens, width]`, float32.
    public func combine(_ x: Variable, groups: TokenGroups, weights: Variable? = nil) -> Variable {
        let (compute, input, factors) = (compute, x.value, weights?.value)
        precondition(input.rows == groups.rows.count, "\(input.rows) rows for \(groups.rows.count) choices")
        let (width, chosen) = (input.columns, groups.chosen)
        let y = compute.empty([groups.tokenCount, width])
        compute.forEachRowBlock(of: groups.tokenCount, rowElements: width * chosen) { tokens in
            for token in tokens {
                let target = y.output + token * width
                target.update(repeating: 0, count: width)
                for choice in token * chosen..<(token + 1) * chosen {
                    let from = Int(groups.rows[choice])
                    compute.readRow(input, from) {
                        martlet_add_scaled(Int64(width), factors.map { $0.floats[choice] } ?? 1, $0, target)
                    }
                }
            }
        }
        let (wantsInput, wantsWeights) = (x.needsGradient, weights?.needsGradient == true)
        let kept = wantsWeights ? rounded(toKeep: input) : nil
        let shape = input.shape
        return record("combine", y, inputs: [x] + (weights.map { [$0] } ?? [])) { dy in
            let dx = wantsInput ? compute.empty(shape, compute.precision.activationType) : nil
            let dFactors = wantsWeights ? compute.empty([groups.tokenCount, chosen]) : nil
            compute.forEachRowBlock(of: groups.tokenCount, rowElements: width * chosen) { tokens in
                compute.readRows(dy, tokens) { gradients in
                    for token in tokens {
                        let gradient = gradients + (token - tokens.lowerBound) * width
                        for choice in token * chosen..<(token + 1) * chosen {
                            let row = Int(groups.rows[choice])
                            if let dx {
                                compute.writeRow(dx, row) {
                                    martlet_scale(Int64(width), factors.map { $0.floats[choice] } ?? 1, gradient, $0)
                                }
                            }
                            guard let dFactors, let kept else { continue }
                            compute.readRow(kept, row) {
                                martlet_row_dots(
                                    1, Int64(width), gradient, Int64(width), $0, Int64(width), dFactors.output + choice)
                            }
                        }
                    }
                }
            }
            return [dx] + (weights == nil ? [] : [dFactors])
        }
    }
}
