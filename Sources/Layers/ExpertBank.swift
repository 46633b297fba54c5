public import Autograd
public import TensorCore

/// One linear layer of all experts of a mixture: frozen weights in any storage, optional biases, optional adapters.
///
/// Where the checkpoint has a module per expert, adapters may be attached to each of them (``modules``). The bank
/// itself is the parameter that newer libraries fuse them into, and takes an adapter over all experts at once.
public final class ExpertBank {
    /// How the experts are kept in the checkpoint.
    public enum Source {
        /// Modules of their own; per expert those whose outputs follow one another.
        case modules([[Linear]])
        /// One tensor for all experts, `[experts, …]`, with this name.
        case fused(tensor: String, Weight, GroupedWeight.Orientation)
    }

    /// How the factors of an adapter over all experts lie in two matrices, `A [experts · rank, a]` and
    /// `B [b, rank · experts]`. Expert e has rows `e · rank …` of A and every `experts`-th column of B from e on.
    public enum FactorLayout: String, Sendable, CaseIterable {
        /// PEFT from 0.19 on: a fused parameter is taken for `[experts, outputs, inputs]`, and A meets its last
        /// dimension, unless its module says that it is transposed.
        case peft019 = "peft-0.19"
        /// PEFT up to 0.18: A meets the middle dimension, whatever it means.
        case positional = "peft-0.18"
    }

    /// Path of the fused parameter as transformers has it, for example `model.layers.0.mlp.experts.gate_up_proj`.
    public let name: String
    /// How the experts are kept.
    public let source: Source
    /// The matrices of all experts.
    public let weight: GroupedWeight
    /// `[experts, outputs]`, or `nil`.
    public let bias: Tensor?
    /// How the parameter lies in transformers, and whether its module is marked as transposed there.
    private let fusedOrientation: GroupedWeight.Orientation, isMarkedTransposed: Bool
    private var fused: FusedUpdate?

    /// An adapter over all experts.
    private struct FusedUpdate {
        let a, b: Parameter
        let rank: Int
        let scale: Float
        let isSwapped: Bool
        let site: UInt64
    }

    /// Makes a bank without adapters.
    /// - Parameters:
    ///   - count: number of experts.
    ///   - isMarkedTransposed: whether transformers marks the module as transposed (gpt-oss).
    public init(
        name: String, count: Int, source: Source, bias: Tensor? = nil, isMarkedTransposed: Bool = false
    ) {
        (self.name, self.source, self.bias) = (name, source, bias)
        self.isMarkedTransposed = isMarkedTransposed
        switch source {
        case .modules(let experts):
            weight = GroupedWeight(separate: experts.map { $0.map(\.weight) })
            fusedOrientation = .outputsByInputs
        case .fused(_, let tensor, let orientation):
            weight = GroupedWeight(fused: [tensor], count: count, orientation: orientation)
            fusedOrientation = orientation
        }
    }

    /// Bytes of the weights as they are held.
    public var byteCount: Int { weight.byteCount }

    /// The experts' modules in order; none if they are fused.
    public var modules: [Linear] { if case .modules(let experts) = source { experts.flatMap { $0 } } else { [] } }

    /// Name of the tensor that holds all experts, if there is one.
    public var fusedTensor: String? { if case .fused(let tensor, _, _) = source { tensor } else { nil } }

    /// `[rows, inputs]` grouped by expert → `[rows, outputs]`.
    public func callAsFunction(_ x: Variable, groups: TokenGroups, in graph: Graph) -> Variable {
        let updates = isAdaptedAnywhere ? (0..<weight.count).map(updates) : []
        return graph.groupedLinear(x, groups: groups, weight: weight, bias: bias, updates: updates)
    }

    /// Whether an adapter is attached, over all experts or to a module of one.
    public var isAdaptedAnywhere: Bool { fused != nil || modules.contains { $0.adapter != nil } }

    /// Low-rank values that adapters make of a row, of the expert that has most.
    public var rankOfExpert: Int {
        guard isAdaptedAnywhere else { return 0 }
        return (0..<weight.count).map { updates($0).reduce(0) { $0 + $1.rank } }.max() ?? 0
    }

    /// The updates of one expert.
    private func updates(_ expert: Int) -> [ExpertUpdate] {
        var updates: [ExpertUpdate] = []
        if let fused {
            let (a, b) = factors(fused, expert)
            updates.append(
                ExpertUpdate(
                    outputs: 0..<weight.outputs, rank: fused.rank, a: a, b: b, scale: fused.scale, site: fused.site))
        }
        guard case .modules(let experts) = source else { return updates }
        var first = 0
        for module in experts[expert] {
            let outputs = first..<first + module.weight.rows
            first = outputs.upperBound
            guard let adapter = module.adapter else { continue }
            updates.append(
                ExpertUpdate(
                    outputs: outputs, rank: adapter.a.value.rows, a: FactorView(adapter.a), b: FactorView(adapter.b),
                    scale: adapter.scale, dropoutRate: adapter.dropoutRate, site: adapter.site))
        }
        return updates
    }

    /// A `[rank, inputs]` and B `[outputs, rank]` of one expert.
    private func factors(_ update: FusedUpdate, _ expert: Int) -> (a: FactorView, b: FactorView) {
        let (width, count) = (update.a.value.columns, weight.count)
        let offset = expert * update.rank * width
        if update.isSwapped {
            return (
                FactorView(update.b, offset: expert, rowStride: count, columnStride: update.rank * count),
                FactorView(update.a, offset: offset, rowStride: 1, columnStride: width)
            )
        }
        return (
            FactorView(update.a, offset: offset, rowStride: width, columnStride: 1),
            FactorView(update.b, offset: expert, rowStride: update.rank * count, columnStride: count)
        )
    }

    /// Whether A meets the outputs instead of the inputs.
    private func isSwapped(_ layout: FactorLayout) -> Bool {
        switch layout {
        case .peft019: fusedOrientation == .inputsByOutputs && !isMarkedTransposed
        case .positional: fusedOrientation == .outputsByInputs
        }
    }
}

extension ExpertBank: AdapterTarget {
    /// Projections of routed experts.
    public var role: ModuleRole { .experts }
    /// It is a parameter, which `target_parameters` names.
    public var isModule: Bool { false }
    /// Groups reach the experts' modules instead where there are some.
    public var isInGroups: Bool { modules.isEmpty }
    /// Numbers of all experts.
    public var weightCount: Int { weight.count * weight.outputs * weight.inputs }
    /// Whether an adapter over all experts is attached.
    public var isAdapted: Bool { fused != nil }

    /// `[experts · rank, …]` and `[…, rank · experts]`, with inputs and outputs where the layout has them.
    public func factorShapes(rank: Int, layout: FactorLayout) -> (a: [Int], b: [Int]) {
        let all = weight.count * rank
        let (a, b) = isSwapped(layout) ? (weight.outputs, weight.inputs) : (weight.inputs, weight.outputs)
        return ([all, a], [b, all])
    }

    /// Attaches an adapter over all experts; see ``LoRAAdapter``.
    public func attach(
        a: Parameter, b: Parameter, _ strength: AdapterStrength, _ configuration: AdapterConfiguration, site: UInt64
    ) {
        fused = FusedUpdate(
            a: a, b: b, rank: strength.rank, scale: strength.scale, isSwapped: isSwapped(configuration.layout),
            site: site)
    }

    /// Takes the adapter over all experts off.
    public func detach() { fused = nil }

    /// What the adapter over all experts adds to stored tensors.
    public var storedUpdates: [StoredUpdate] {
        guard let fused else { return [] }
        return (0..<weight.count).flatMap { expert -> [StoredUpdate] in
            let (a, b) = factors(fused, expert)
            switch source {
            case .fused(let tensor, _, .outputsByInputs):
                return [
                    update(fused, tensor, expert * weight.outputs..<(expert + 1) * weight.outputs, weight.inputs, b, a)
                ]
            case .fused(let tensor, _, .inputsByOutputs):
                let rows = expert * weight.inputs..<(expert + 1) * weight.inputs
                return [update(fused, tensor, rows, weight.outputs, a.transposed, b.transposed)]
            case .modules(let experts):
                var first = 0
                return experts[expert].map { module in
                    defer { first += module.weight.rows }
                    return update(
                        fused, module.name + ".weight", 0..<module.weight.rows, weight.inputs, b.dropping(rows: first),
                        a)
                }
            }
        }
    }

    private func update(
        _ fused: FusedUpdate, _ tensor: String, _ rows: Range<Int>, _ columns: Int, _ left: FactorView,
        _ right: FactorView
    ) -> StoredUpdate {
        StoredUpdate(
            tensor: tensor, rows: rows, columns: columns, left: left, right: right, rank: fused.rank, scale: fused.scale
        )
    }
}

extension FactorView {
    /// The same elements read as the transpose.
    fileprivate var transposed: FactorView {
        FactorView(parameter, offset: offset, rowStride: columnStride, columnStride: rowStride)
    }

    /// Without the first rows.
    fileprivate func dropping(rows: Int) -> FactorView {
        FactorView(parameter, offset: offset + rows * rowStride, rowStride: rowStride, columnStride: columnStride)
    }
}
