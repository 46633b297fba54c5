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

    /// Adds the bias, and the residual stream where it meets the result, to some columns of rows.
    fileprivate func epilogue(addedTo residual: Tensor?) -> Compute.Epilogue? {
        if bias == nil && residual == nil { return nil }
        return { [bias] rows, columns, tile, stride in
            let (height, width, stride) = (Int64(rows.count), Int64(columns.count), Int64(stride))
            if let bias { martlet_add_bias(height, width, bias.floats + columns.lowerBound, tile, stride) }
            guard let residual else { return }
            let start = residual.floats + rows.lowerBound * residual.columns + columns.lowerBound
            martlet_add_rows(height, width, start, Int64(residual.columns), tile, stride)
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
        linear(x, through: LinearLayer(weight: weight, bias: bias, update: update), precision: precision)
    }

    /// A linear layer whose result may be added to the residual stream while it is in cache: `residual + y`.
    ///
    /// Derivative with respect to the residual: the gradient as it is.
    /// - Parameter residual: of the shape of the result.
    public func linear(
        _ x: Variable, through layer: LinearLayer, addedTo residual: Variable? = nil, precision: Precision? = nil
    ) -> Variable {
        if let residual {
            precondition(
                residual.value.rows == x.value.rows && residual.value.columns == layer.weight.rows,
                "residual of \(residual.value.shape) for \(x.value.rows) rows of \(layer.weight.rows)")
        }
        if let residual, residual.value.elementType != .float32 || !residual.value.isDense {
            return add(residual, linear(x, through: layer, precision: precision))
        }
        return linear(x, through: [layer], addedTo: residual, precision: precision)[0]
    }

    /// Several linear layers over the same input, in their order. Where tokens are few, as in decoding, the threads
    /// start once for all their weights.
    public func linear(
        _ x: Variable, through layers: [LinearLayer], precision: Precision? = nil
    ) -> [Variable] {
        linear(x, through: layers, addedTo: nil, precision: precision)
    }

    private func linear(
        _ x: Variable, through layers: [LinearLayer], addedTo residual: Variable?, precision: Precision?
    ) -> [Variable] {
        let compute = precision.map { Compute(sharing: self.compute, precision: $0) } ?? self.compute
        var paths: [AdapterPath?] = []
        let values = compute.products(x.value, layers.count) { index in
            let (path, projection) = way(through: layers[index], x, addedTo: residual?.value, on: compute)
            paths.append(path)
            return projection
        }
        let backward = LinearBackward(layers, paths, compute, gradients, wantsInput: x.needsGradient)
        return record(values, x, addedTo: residual, backward)
    }

    /// The way of an input through a layer, and that of its adapter.
    func way(
        through layer: LinearLayer, _ x: Variable, addedTo residual: Tensor? = nil, on compute: Compute
    ) -> (AdapterPath?, Projection) {
        compute.prepareLowTerm(x.value, besideRank: layer.update?.a.value.rows ?? 0)
        let path = layer.update.map { AdapterPath($0, x, dropout: dropout, on: compute) }
        let projection = Projection(
            layer.weight, adding: path?.folded,
            plus: compute.lowTerm(x.value, transposed: layer.weight, beside: path?.forwardTerm),
            epilogue: layer.epilogue(addedTo: residual))
        return (path, projection)
    }

    /// The gradients of layers over one input meet in a node of their own. It is reached when all of them have had their
    /// turn, because the tape runs backwards and it was recorded before them.
    private func record(
        _ values: [Tensor], _ x: Variable, addedTo residual: Variable?, _ backward: LinearBackward
    ) -> [Variable] {
        let meeting = record("linear", x.value, inputs: [x], trainsParameters: backward.trains) { _ in
            [backward.inputGradient()]
        }
        // The variable itself would keep its value until the backward pass.
        let hasResidual = residual != nil
        return values.enumerated().map { index, value in
            record("linear", value, inputs: [meeting] + (residual.map { [$0] } ?? [])) { dy in
                let first = backward.take(dy, of: index) ? dy : nil
                return hasResidual ? [first, dy] : [first]
            }
        }
    }
}

/// The way back through layers over one input.
final class LinearBackward {
    private let layers: [LinearLayer]
    private let paths: [AdapterPath?]
    private let compute: Compute
    private let gradients: Gradients?
    private let wantsInput: Bool
    private var ways: [BackProjection] = []
    private var isReached = false

    init(
        _ layers: [LinearLayer], _ paths: [AdapterPath?], _ compute: Compute, _ gradients: Gradients?, wantsInput: Bool
    ) {
        (self.layers, self.paths, self.compute) = (layers, paths, compute)
        (self.gradients, self.wantsInput) = (gradients, wantsInput)
    }

    /// Whether a layer has something to learn.
    var trains: Bool { paths.contains { $0 != nil } }

    /// Takes the gradient of a layer's result. Says whether it is the first to come.
    @discardableResult func take(_ dy: Tensor, of index: Int) -> Bool {
        defer { isReached = true }
        let path = paths[index]
        let g = path?.backward(dy, into: gradients)
        if wantsInput {
            ways.append(
                BackProjection(
                    dy, layers[index].weight, adding: path?.folded, plus: g.flatMap { path?.backwardTerm($0) },
                    epilogue: g.flatMap { path?.masking($0) }, on: compute))
        }
        return !isReached
    }

    /// The sum of what has come, if it is wanted.
    func inputGradient() -> Tensor? {
        defer { ways = [] }
        return wantsInput ? compute.product(ways, type: compute.precision.activationType) : nil
    }
}
