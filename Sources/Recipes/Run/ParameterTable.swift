import Checkpoints
import Layers
import Models
import TensorCore

/// What a run trains and what it leaves as it is, by the role of the weights.
public struct ParameterTable: Sendable {
    /// The weights of one role.
    public struct Row: Sendable, Equatable {
        /// What the weights are for.
        public let role: String
        /// All weights of the role, and those of layers with an adapter.
        public let total: Int, adapted: Int
        /// Numbers of the adapters on them.
        public let trained: Int
        /// Weights that are trained themselves.
        public var trainedInFull: Int { 0 }
        /// Weights that nothing changes.
        public var frozen: Int { total - adapted - trainedInFull }
    }

    /// Roles that the model has, in a fixed order.
    public let rows: [Row]

    /// Counts the weights of a prepared run.
    init(base: any TensorSource, model: any CausalLanguageModel, adapter: LoRAAdapter) throws {
        let targets = model.adapterTargets
        let banks = targets.compactMap { $0 as? ExpertBank }
        // The modules of a bank whose adapter is over all experts are adapted too.
        let covered = Set(banks.filter(\.isAdapted).flatMap { $0.modules.map(\.name) })
        var rows = ModuleRole.allCases.map { role in
            let weights = targets.filter { $0.role == role && $0.isInGroups }
            return Row(
                role: role.label, total: weights.reduce(0) { $0 + $1.weightCount },
                adapted: weights.filter { $0.isAdapted || covered.contains($0.name) }.reduce(0) { $0 + $1.weightCount },
                trained: adapter.parameterCount { $0.role == role })
        }
        for (label, ending) in [("embedding", "embed_tokens.weight"), ("head", "lm_head.weight")] {
            let count = try base.names.filter { $0.hasSuffix(ending) }.reduce(0) {
                $0 + (try base.tensor($1).elementCount)
            }
            rows.append(Row(role: label, total: count, adapted: 0, trained: 0))
        }
        self.rows = rows.filter { $0.total > 0 }
    }

    /// A sentence about routed experts that stay as they are; `nil` where there are none.
    public var warning: String? {
        guard let experts = rows.first(where: { $0.role == ModuleRole.experts.label }), experts.frozen > 0 else {
            return nil
        }
        let all = rows.reduce(0) { $0 + $1.total }
        let share = Int((Double(experts.frozen) / Double(max(1, all)) * 100).rounded())
        return
            "routed experts stay frozen: \(experts.frozen) of the model's weights (\(share) %) get no adapter; adapter.target_modules: all-linear or experts reaches them"
    }
}

extension ModuleRole {
    /// How tables call the role.
    fileprivate var label: String {
        switch self {
        case .attention: "attention"
        case .mlp: "MLP"
        case .experts: "routed experts"
        case .sharedExperts: "shared experts"
        case .router: "router"
        }
    }
}
