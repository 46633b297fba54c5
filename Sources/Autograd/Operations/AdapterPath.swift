import CKernels
import TensorCore

/// The low-rank way through a linear layer, forward beside backward.
///
/// In float32 without dropout, and with enough tokens to be worth it, the update is folded into each panel of the
/// weight while it is in cache: `x·(W + s·B·A)ᵀ`. Else it is a way of its own beside the product.
final class AdapterPath {
    let update: LowRankUpdate
    let compute: Compute
    /// A and B as products see them.
    let a, b: Tensor
    let dropout: DropoutContext?
    /// The update as part of the weight, if it is folded.
    let folded: WeightUpdate?
    /// Input after dropout, `[tokens, inputs]`.
    let input: Kept
    /// `x̃·Aᵀ`, `[tokens, rank]`, if the forward pass needed it.
    let hidden: Tensor?

    init(_ update: LowRankUpdate, _ x: Variable, dropout: DropoutContext?, on compute: Compute) {
        self.update = update
        self.compute = compute
        self.dropout = update.dropoutRate > 0 ? dropout : nil
        (a, b) = (compute.rounded(update.a.value), compute.rounded(update.b.value))
        let (inputs, outputs) = (a.columns, b.rows)
        let folds = self.dropout == nil && compute.precision == .float32 && x.value.rows * (inputs + outputs) > inputs * outputs
        folded = folds ? WeightUpdate(a: a, b: b, scale: update.scale) : nil
        input = self.dropout.map { context in
            let kept = x.kept
            return Kept(again: { compute.dropout(kept.value(), update, context) })
        } ?? x.kept
        hidden = folds ? nil : compute.lowRankProduct(self.dropout.map { compute.dropout(x.value, update, $0) } ?? x.value, a)
    }

    /// `s·(x̃·Aᵀ)·Bᵀ`, unless it is folded.
    var forwardTerm: ThinTerm? { hidden.map { ThinTerm($0, b, isTransposed: true, scale: update.scale) } }

    /// Sums the gradients of A and B and returns `g = s·dy·B`, `[tokens, rank]`.
    func backward(_ dy: Tensor, into gradients: Gradients?) -> Tensor {
        let (g, dA, dBTransposed) = compute.lowRankBackward(
            input.value(), dy, a: a, b: b, scale: update.scale, hidden: hidden)
        for (parameter, gradient) in [(update.a, dA), (update.b, compute.transposed(dBTransposed))] {
            gradients?.accumulate(parameter, on: compute) { sum, adding in
                if adding {
                    martlet_add(Int64(gradient.count), sum, gradient.floats, sum)
                } else {
                    sum.update(from: gradient.floats, count: gradient.count)
                }
            }
        }
        return g
    }

    /// `g·A`, unless it is folded or dropout masks it.
    func backwardTerm(_ g: Tensor) -> ThinTerm? {
        folded == nil && dropout == nil ? ThinTerm(g, a, isTransposed: false) : nil
    }

    /// Adds `mask(g·A)` to a tile of the input's gradient, if there is dropout.
    func masking(_ g: Tensor) -> Compute.Epilogue? {
        guard let dropout else { return nil }
        let (rank, inputs) = (a.rows, a.columns)
        return { [self] rows, columns, tile, stride in
            compute.withScratch(rows.count * columns.count) { scratch in
                compute.multiply(
                    rows.count, columns.count, rank, MatrixPointer(g.floats + rows.lowerBound * rank, stride: rank),
                    MatrixPointer(a.floats + columns.lowerBound, stride: inputs), into: scratch, stride: columns.count)
                compute.applyDropout(update, dropout, rows, columns, scratch)
                for row in 0..<rows.count {
                    martlet_add_scaled(Int64(columns.count), 1, scratch + row * columns.count, tile + row * stride)
                }
            }
        }
    }
}

extension Compute {
    fileprivate func dropout(_ x: Tensor, _ update: LowRankUpdate, _ context: DropoutContext) -> Tensor {
        let y = empty(x.shape, x.elementType)
        forEachRowBlock(of: x.rows, rowElements: x.columns) { rows in
            readRows(x, rows) { input in
                writeRows(y, rows) { output in
                    output.update(from: input, count: rows.count * x.columns)
                    applyDropout(update, context, rows, 0..<x.columns, output)
                }
            }
        }
        return y
    }

    /// Applies the mask of the given rows and columns to `values`, `[rows.count, columns.count]`.
    fileprivate func applyDropout(
        _ update: LowRankUpdate, _ context: DropoutContext, _ rows: Range<Int>, _ columns: Range<Int>,
        _ values: UnsafeMutablePointer<Float>
    ) {
        martlet_dropout(
            Int64(rows.count), Int64(columns.lowerBound), Int64(columns.count), context.seed,
            context.step << 24 ^ update.site, Int64(context.firstToken + rows.lowerBound), update.dropoutRate, values)
    }
}
