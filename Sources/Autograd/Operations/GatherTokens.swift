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
        let (compute, input) = (compute, x.value)
        precondition(input.rows == groups.tokenCount, "\(input.rows) rows for \(groups.tokenCount) tokens")
        let (width, chosen, scales) = (input.columns, groups.chosen, ChoiceScales(weights?.value))
        let y = compute.gathered(input, groups, scales)
        let (wantsInput, shape) = (x.needsGradient, input.shape)
        let source = x.kept, kept = weights?.needsGradient == true ? source : nil
        let again = { compute.gathered(source.value(), groups, scales) }
        return record("gather", y, inputs: [x] + (weights.map { [$0] } ?? []), again: again) { dy in
            let dx = wantsInput ? compute.empty(shape, compute.precision.activationType) : nil
            let dFactors = kept.map { _ in compute.empty([groups.tokenCount, chosen]) }
            let (gradients, targets, values) = (TensorRows(dy), dx.map(TensorRows.init), (kept?.value()).map(TensorRows.init))
            let slopes = dFactors?.output
            compute.forEachRowBlock(of: groups.tokenCount, rowElements: width * chosen) { tokens in
                compute.withScratch(2 * width) { scratch in
                    for token in tokens {
                        let choices = token * chosen..<(token + 1) * chosen
                        targets?.write(token, by: scratch + width) { sum in
                            for choice in choices {
                                let gradient = gradients.read(Int(groups.rows[choice]), widenedIn: scratch)
                                scales.put(choice, gradient, width, sum, adding: choice > choices.lowerBound)
                            }
                        }
                        guard let slopes, let values else { continue }
                        let row = values.read(token, widenedIn: scratch + width)
                        for choice in choices {
                            let gradient = gradients.read(Int(groups.rows[choice]), widenedIn: scratch)
                            martlet_row_dots(1, Int64(width), gradient, Int64(width), row, Int64(width), slopes + choice)
                        }
                    }
                }
            }
            return [dx] + (weights == nil ? [] : [dFactors])
        }
    }
}

extension Compute {
    /// Rows of tokens by expert, scaled.
    fileprivate func gathered(_ x: Tensor, _ groups: TokenGroups, _ scales: ChoiceScales) -> Tensor {
        let (width, chosen) = (x.columns, groups.chosen)
        let y = empty([groups.rows.count, width], precision.activationType)
        let (from, to) = (TensorRows(x), TensorRows(y))
        forEachRowBlock(of: x.rows, rowElements: width * chosen) { tokens in
            withScratch(2 * width) { scratch in
                for token in tokens {
                    let row = from.read(token, widenedIn: scratch)
                    for choice in token * chosen..<(token + 1) * chosen {
                        to.write(Int(groups.rows[choice]), by: scratch + width) { scales.put(choice, row, width, $0) }
                    }
                }
            }
        }
        return y
    }
}

/// What the rows of tokens' choices are multiplied with.
struct ChoiceScales {
    private let values: UnsafePointer<Float>?
    private let owner: Tensor?

    /// - Parameter weights: `[tokens, chosen]`, float32; `nil` is 1 everywhere.
    init(_ weights: Tensor?) { (values, owner) = (weights?.floats, weights) }

    /// `target = scale · row`, or added to it.
    func put(
        _ choice: Int, _ row: UnsafePointer<Float>, _ width: Int, _ target: UnsafeMutablePointer<Float>,
        adding: Bool = false
    ) {
        let scale = values?[choice] ?? 1
        if adding {
            martlet_add_scaled(Int64(width), scale, row, target)
        } else {
            martlet_scale(Int64(width), scale, row, target)
        }
    }
}
