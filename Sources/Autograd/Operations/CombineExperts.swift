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
        let (compute, input) = (compute, x.value)
        precondition(input.rows == groups.rows.count, "\(input.rows) rows for \(groups.rows.count) choices")
        let (width, chosen, scales) = (input.columns, groups.chosen, ChoiceScales(weights?.value))
        let y = compute.empty([groups.tokenCount, width])
        let (from, to) = (TensorRows(input), y.output)
        compute.forEachRowBlock(of: groups.tokenCount, rowElements: width * chosen) { tokens in
            compute.withScratch(width) { scratch in
                for token in tokens {
                    for choice in token * chosen..<(token + 1) * chosen {
                        let row = from.read(Int(groups.rows[choice]), widenedIn: scratch)
                        scales.put(choice, row, width, to + token * width, adding: choice > token * chosen)
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
            let (gradients, targets, values) = (TensorRows(dy), dx.map(TensorRows.init), kept.map(TensorRows.init))
            let slopes = dFactors?.output
            compute.forEachRowBlock(of: groups.tokenCount, rowElements: width * chosen) { tokens in
                compute.withScratch(2 * width) { scratch in
                    for token in tokens {
                        let gradient = gradients.read(token, widenedIn: scratch)
                        for choice in token * chosen..<(token + 1) * chosen {
                            let row = Int(groups.rows[choice])
                            targets?.write(row, by: scratch + width) { scales.put(choice, gradient, width, $0) }
                            guard let slopes, let values else { continue }
                            let value = values.read(row, widenedIn: scratch + width)
                            martlet_row_dots(1, Int64(width), gradient, Int64(width), value, Int64(width), slopes + choice)
                        }
                    }
                }
            }
            return [dx] + (weights == nil ? [] : [dFactors])
        }
    }
}
