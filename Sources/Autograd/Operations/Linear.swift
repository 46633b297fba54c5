import CKernels
public import TensorCore

/// Random numbers of dropout: counted by token, never by call, so that threads, micro-batches, recomputation and
/// resuming all draw the same.
public struct DropoutContext: Sendable {
    /// The run's seed and the optimiser step.
    public let seed, step: UInt64
    /// Index of the graph's first token among the tokens of the step.
    public let firstToken: Int

    /// Names the tokens of one micro-batch.
    public init(seed: UInt64, step: UInt64, firstToken: Int) {
        (self.seed, self.step, self.firstToken) = (seed, step, firstToken)
    }
}

/// A trainable low-rank update of a linear layer (Hu et al., 2021): `y += scale · dropout(x) · Aᵀ · Bᵀ`.
public struct LowRankUpdate {
    /// `A [rank, inputs]` and `B [outputs, rank]`.
    public let a, b: Parameter
    /// Usually alpha / rank.
    public let scale: Float
    /// Share of the update's inputs that training sets to zero.
    public let dropoutRate: Float
    /// Number of this update in the model: its own stream of random numbers.
    public let site: UInt64

    /// Combines the two factors.
    public init(a: Parameter, b: Parameter, scale: Float, dropoutRate: Float, site: UInt64) {
        precondition(a.value.rows == b.value.columns, "A \(a.value.shape) and B \(b.value.shape) differ in rank")
        (self.a, self.b, self.scale, self.dropoutRate, self.site) = (a, b, scale, dropoutRate, site)
    }
}

/// A linear layer as an operation sees it. A class, because it is large and handed on often.
public final class LinearLayer {
    /// `[outputs, inputs]`.
    public let weight: Weight
    /// `[outputs]`, or `nil`.
    public let bias: Tensor?
    /// The trainable low-rank update, if there is one.
    public let update: LowRankUpdate?

    /// Combines the parts.
    public init(weight: Weight, bias: Tensor? = nil, update: LowRankUpdate? = nil) {
        (self.weight, self.bias, self.update) = (weight, bias, update)
    }

    /// Adds the bias to some columns of rows.
    fileprivate var epilogue: Compute.Epilogue? {
        bias.map { bias in
            { rows, columns, tile, stride in
                martlet_add_bias(
                    Int64(rows.count), Int64(columns.count), bias.floats + columns.lowerBound, tile, Int64(stride))
            }
        }
    }
}

extension Graph {
    /// A linear layer over a frozen weight in any storage, with an optional trainable low-rank update:
    /// `y = x·Wᵀ + bias + s·(x̃·Aᵀ)·Bᵀ`, x̃ being x after dropout.
    ///
    /// Derivative: with `g = s·dy·B`: `dx = dy·W + mask(g·A)`, `dA = gᵀ·x̃`, `dB = s·dyᵀ·(x̃·Aᵀ)`.
    /// - Parameters:
    ///   - x: `[tokens, inputs]`.
    ///   - weight: `[outputs, inputs]`.
    ///   - bias: `[outputs]`.
    ///   - precision: of this layer; `nil` is that of the graph.
    public func linear(
        _ x: Variable, weight: Weight, bias: Tensor? = nil, update: LowRankUpdate? = nil, precision: Precision? = nil
    ) -> Variable {
        linear(x, through: [LinearLayer(weight: weight, bias: bias, update: update)], precision: precision)[0]
    }

    /// Several linear layers over the same input, in their order. Where tokens are few, as in decoding, the threads
    /// start once for all their weights.
    public func linear(
        _ x: Variable, through layers: [LinearLayer], precision: Precision? = nil
    ) -> [Variable] {
        let compute = precision.map { Compute(sharing: self.compute, precision: $0) } ?? self.compute
        var paths: [AdapterPath?] = []
        let values = compute.products(x.value, layers.count) { index in
            let layer = layers[index]
            let path = layer.update.map { AdapterPath($0, x, dropout: dropout, on: compute) }
            paths.append(path)
            return Projection(
                layer.weight, adding: path?.folded,
                plus: compute.lowTerm(x.value, transposed: layer.weight, beside: path?.forwardTerm),
                epilogue: layer.epilogue)
        }
        return layers.indices.map { record(values[$0], of: layers[$0], paths[$0], x, on: compute) }
    }

    private func record(
        _ y: Tensor, of layer: LinearLayer, _ path: AdapterPath?, _ x: Variable, on compute: Compute
    ) -> Variable {
        let (weight, wantsInput, type, gradients) = (
            layer.weight, x.needsGradient, compute.precision.activationType, gradients
        )
        return record("linear", y, inputs: [x], trainsParameters: path != nil) { dy in
            let g = path?.backward(dy, into: gradients)
            guard wantsInput else { return [nil] }
            return [
                compute.product(
                    dy, weight, adding: path?.folded, plus: g.flatMap { path?.backwardTerm($0) }, type: type
                ) { rows, columns, tile, stride in
                    if let path, let g { path.addMasked(g, rows, columns, tile, stride) }
                }
            ]
        }
    }
}

/// The low-rank way through a linear layer, forward beside backward.
///
/// In float32 without dropout, and with enough tokens to be worth it, the update is folded into each panel of the
/// weight while it is in cache: `x·(W + s·B·A)ᵀ`. Else it is a way of its own beside the product.
private final class AdapterPath {
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

    /// Adds `mask(g·A)` to a tile of the input's gradient, where there is dropout.
    func addMasked(
        _ g: Tensor, _ rows: Range<Int>, _ columns: Range<Int>, _ tile: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        guard let dropout else { return }
        let (rank, inputs) = (a.rows, a.columns)
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
