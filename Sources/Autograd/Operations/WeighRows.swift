import CKernels
import TensorCore

extension Graph {
    /// Multiplies the rows of tokens' choices, sorted by expert, with the choices' weights: `y[row] = weight · x[row]`.
    ///
    /// Before a layer without bias it does what ``combine(_:groups:weights:)`` does behind it, where the result of the
    /// layer would have to be kept for the weights' gradients.
    ///
    /// Derivative: `dx[row] = weight · dy[row]`, `dweight = dy[row] · x[row]`.
    /// - Parameters:
    ///   - x: `[tokens · chosen, width]`, rows by expert.
    ///   - weights: `[tokens, chosen]`, float32.
    /// - Returns: the shape of `x`, in its element type.
    public func weigh(_ x: Variable, groups: TokenGroups, by weights: Variable) -> Variable {
        let (compute, factors, kept) = (compute, weights.value, x.kept)
        precondition(x.value.rows == groups.rows.count, "\(x.value.rows) rows for \(groups.rows.count) choices")
        let y = compute.weighed(x.value, groups, factors)
        let (wantsInput, wantsWeights) = (x.needsGradient, weights.needsGradient)
        let again = { compute.weighed(kept.value(), groups, factors) }
        return record("weigh", y, inputs: [x, weights], again: again) { dy in
            [
                wantsInput ? compute.weighed(dy, groups, factors) : nil,
                wantsWeights ? compute.dotsOfChoices(dy, kept.value(), groups) : nil,
            ]
        }
    }
}

extension Compute {
    fileprivate func weighed(_ x: Tensor, _ groups: TokenGroups, _ weights: Tensor) -> Tensor {
        let y = empty(x.shape, x.elementType)
        let (from, to, width, scales) = (TensorRows(x), TensorRows(y), x.columns, ChoiceScales(weights))
        forEachRowBlock(of: groups.rows.count, rowElements: width) { choices in
            withScratch(2 * width) { scratch in
                for choice in choices {
                    let row = Int(groups.rows[choice]), values = from.read(row, widenedIn: scratch)
                    to.write(row, by: scratch + width) { scales.put(choice, values, width, $0) }
                }
            }
        }
        return y
    }

    /// `a[row] · b[row]` of every choice, `[tokens, chosen]`.
    fileprivate func dotsOfChoices(_ a: Tensor, _ b: Tensor, _ groups: TokenGroups) -> Tensor {
        let result = empty([groups.tokenCount, groups.chosen])
        let (left, right, width, dots) = (TensorRows(a), TensorRows(b), a.columns, result.output)
        forEachRowBlock(of: groups.rows.count, rowElements: width) { choices in
            withScratch(2 * width) { scratch in
                for choice in choices {
                    let row = Int(groups.rows[choice]), size = Int64(width)
                    martlet_row_dots(
                        1, size, left.read(row, widenedIn: scratch), size, right.read(row, widenedIn: scratch + width),
                        size, dots + choice)
                }
            }
        }
        return result
    }
}
