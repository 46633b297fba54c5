import CKernels
public import TensorCore

/// How tokens choose experts.
public struct RoutingOptions: Sendable {
    /// What the score of an expert is made of.
    public enum Scoring: String, Sendable {
        /// Softmax over all experts.
        case softmax
        /// Softmax over the chosen experts; the same as `softmax` with normalised weights.
        case softmaxOverChosen
        /// Sigmoid of every expert by itself.
        case sigmoid
    }

    /// Experts in all, and chosen by each token.
    public let experts, chosen: Int
    /// What scores are made of.
    public let scoring: Scoring
    /// Whether the weights of a token are divided by their sum.
    public let normalizes: Bool
    /// Factor of the weights.
    public let scaling: Float
    /// Experts are in `groups` equal groups; only the `keptGroups` whose two best scores have the largest sum are
    /// chosen from (DeepSeek-V3).
    public let groups, keptGroups: Int
    /// Added to scores for the choice, not for the weights: `[experts]`.
    public let bias: Tensor?

    /// Describes a choice.
    /// - Precondition: the kept groups hold at least as many experts as are chosen.
    public init(
        experts: Int, chosen: Int, scoring: Scoring, normalizes: Bool = false, scaling: Float = 1, groups: Int = 1,
        keptGroups: Int = 1, bias: Tensor? = nil
    ) {
        precondition(
            chosen > 0 && groups > 0 && experts % groups == 0 && keptGroups <= groups,
            "\(experts) experts in \(groups) groups")
        precondition(
            keptGroups * (experts / groups) >= chosen, "\(chosen) of \(experts) experts in \(keptGroups) groups")
        precondition(bias == nil || bias?.count == experts, "a bias for other than \(experts) experts")
        (self.experts, self.chosen, self.scoring, self.normalizes) = (experts, chosen, scoring, normalizes)
        (self.scaling, self.groups, self.keptGroups, self.bias) = (scaling, groups, keptGroups, bias)
    }

    /// Calls `body` with the struct that the kernels take.
    fileprivate func withKernelSettings(_ body: (UnsafePointer<martlet_routing>) -> Void) {
        var settings = martlet_routing()
        (settings.experts, settings.chosen) = (Int64(experts), Int64(chosen))
        (settings.groups, settings.kept_groups) = (Int64(groups), Int64(keptGroups))
        (settings.normalize, settings.scaling, settings.bias) = (normalizes ? 1 : 0, scaling, bias?.floats)
        settings.scoring =
            switch scoring {
            case .softmax: Int32(MARTLET_ROUTE_SOFTMAX)
            case .softmaxOverChosen: Int32(MARTLET_ROUTE_SOFTMAX_CHOSEN)
            case .sigmoid: Int32(MARTLET_ROUTE_SIGMOID)
            }
        body(&settings)
    }
}

extension Graph {
    /// Chooses experts for every token, with the weights that their results get.
    ///
    /// The choice has no derivative, the weights have: through softmax or sigmoid and their normalisation, in float32.
    /// With a ``loadBalance`` the gradient of its loss is added.
    /// - Parameter logits: `[tokens, experts]`, float32.
    /// - Returns: weights `[tokens, chosen]`, the best expert first, and the choices sorted by expert.
    public func route(_ logits: Variable, options: RoutingOptions) -> (weights: Variable, groups: TokenGroups) {
        let (values, compute, chosen) = (logits.value, compute, options.chosen)
        precondition(values.columns == options.experts, "logits \(values.shape) for \(options.experts) experts")
        let weights = compute.empty([values.rows, chosen])
        let indices = [Int32](unsafeUninitializedCapacity: values.rows * chosen) { buffer, count in
            count = values.rows * chosen
            guard let start = buffer.baseAddress else { return }
            options.withKernelSettings { settings in
                compute.forEachRowBlock(of: values.rows, rowElements: options.experts) { rows in
                    let (row, first) = (rows.lowerBound, rows.lowerBound * chosen)
                    martlet_route(
                        Int64(rows.count), settings, values.floats + row * options.experts, start + first,
                        weights.output + first)
                }
            }
        }
        let groups = TokenGroups(indices, chosen: chosen, experts: options.experts)
        let balance = loadBalance
        balance?.add(values, groups.counts)
        let result = record("route", weights, inputs: [logits]) { dWeights in
            let dLogits = compute.empty(values.shape)
            options.withKernelSettings { settings in
                compute.forEachRowBlock(of: values.rows, rowElements: options.experts) { rows in
                    let (at, first) = (rows.lowerBound * options.experts, rows.lowerBound * chosen)
                    indices.withUnsafeBufferPointer {
                        martlet_route_backward(
                            Int64(rows.count), settings, values.floats + at, $0.baseAddress.map { $0 + first },
                            dWeights.floats + first, dLogits.output + at)
                    }
                }
            }
            balance?.addGradient(values, into: dLogits.output)
            return [dLogits]
        }
        return (result, groups)
    }
}
