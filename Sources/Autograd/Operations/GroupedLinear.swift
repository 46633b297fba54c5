import CKernels
public import TensorCore

/// Some elements of a parameter seen as a matrix: the factor of one expert inside a tensor that holds those of all, or
/// the whole of a parameter.
public struct FactorView {
    /// The parameter.
    public let parameter: Parameter
    /// Element at row 0, column 0, and the distance between rows and between columns.
    public let offset, rowStride, columnStride: Int

    /// Names elements of a parameter.
    public init(_ parameter: Parameter, offset: Int, rowStride: Int, columnStride: Int) {
        (self.parameter, self.offset, self.rowStride, self.columnStride) = (parameter, offset, rowStride, columnStride)
    }

    /// The whole of a parameter.
    public init(_ parameter: Parameter) {
        self.init(parameter, offset: 0, rowStride: parameter.value.columns, columnStride: 1)
    }

    /// The elements as they are now.
    package var matrix: StridedMatrix {
        StridedMatrix(parameter.value, offset: offset, rowStride: rowStride, columnStride: columnStride)
    }
}

/// A trainable low-rank update of one expert: `y[outputs] += scale · dropout(x) · Aᵀ · Bᵀ`.
public struct ExpertUpdate {
    /// Columns of the result that it is added to.
    public let outputs: Range<Int>
    /// Rank of the update.
    public let rank: Int
    /// A as `[rank, inputs]` and B as `[outputs, rank]`.
    public let a, b: FactorView
    /// Usually alpha / rank.
    public let scale: Float
    /// Share of the update's inputs that training sets to zero.
    public let dropoutRate: Float
    /// Number of the update in the model: its own stream of random numbers.
    public let site: UInt64

    /// Combines two factors.
    public init(
        outputs: Range<Int>, rank: Int, a: FactorView, b: FactorView, scale: Float, dropoutRate: Float = 0,
        site: UInt64 = 0
    ) {
        (self.outputs, self.rank, self.a, self.b) = (outputs, rank, a, b)
        (self.scale, self.dropoutRate, self.site) = (scale, dropoutRate, site)
    }
}

extension Graph {
    /// The linear layers of a mixture's experts over frozen weights in any storage, each for its own rows, with
    /// optional trainable low-rank updates: `y[r] = W_e·x[r] + bias_e + Σ s·B·A·x̃[r]`.
    ///
    /// Derivative as in ``linear(_:weight:bias:update:precision:)``, expert by expert. Work follows the rows: an expert
    /// without rows is neither read nor expanded, and its updates get no gradient.
    /// - Parameters:
    ///   - x: `[rows, inputs]`, grouped by expert.
    ///   - bias: `[experts, outputs]`, float32.
    ///   - updates: those of every expert; empty if there are none.
    /// - Returns: `[rows, outputs]`, float32.
    public func groupedLinear(
        _ x: Variable, groups: TokenGroups, weight: GroupedWeight, bias: Tensor? = nil, updates: [[ExpertUpdate]] = []
    ) -> Variable {
        let (compute, offsets) = (compute, groups.offsets)
        let adapters =
            updates.allSatisfy(\.isEmpty)
            ? nil : GroupedAdapters(updates, x, groups, weight, dropout: dropout, on: compute)
        let y = compute.groupedProduct(x.value, offsets: offsets, transposed: weight) { group, rows, columns, panel, stride in
            if let bias {
                martlet_add_bias(
                    Int64(rows.count), Int64(columns.count), bias.floats + group * weight.outputs + columns.lowerBound,
                    panel,
                    Int64(stride))
            }
            adapters?.addForward(group, rows, columns, panel, stride)
        }
        let (wantsInput, type, gradients) = (x.needsGradient, compute.precision.activationType, gradients)
        return record("experts", y, inputs: [x], trainsParameters: adapters != nil) { dy in
            let g = adapters?.backward(dy, into: gradients)
            guard wantsInput else { return [nil] }
            return [
                compute.groupedProduct(dy, offsets: offsets, weight, type: type) {
                    group, rows, columns, panel, stride in
                    if let adapters, let g { adapters.addBackward(g, group, rows, columns, panel, stride) }
                }
            ]
        }
    }
}
