extension Recipe {
    /// What is trained on top of the frozen base.
    public struct Adapter: Sendable, Equatable {
        /// How weights are adapted.
        public enum Method: String, Sendable, CaseIterable {
            /// Low-rank adapters, `W + scale · B · A`.
            case lora
        }

        /// How the adapter's matrices start.
        public enum Initialization: String, Sendable, CaseIterable {
            /// A uniform within ±1/√(input width), B zero, as PEFT does.
            case kaiming
        }

        /// How weights are adapted.
        public var method = Method.lora
        /// Rows of A and columns of B, 1 to 4096.
        public var rank = 16
        /// Strength: the adapter's output is scaled by `alpha / rank`, or by `alpha / √rank` with `usesRSLoRA`.
        public var alpha = 32.0
        /// Share of the adapter's inputs that is dropped during training, in [0, 1).
        public var dropout = 0.0
        /// Whether the root of the rank divides `alpha`, so that the update keeps its strength at high ranks (rsLoRA).
        public var usesRSLoRA = false
        /// How the adapter's matrices start.
        public var initialization = Initialization.kaiming
        /// Which linear layers get an adapter.
        public var targetModules = TargetModules.group(.allLinear)
        /// Parameters with the weights of all experts that get an adapter over all of them besides, as PEFT's
        /// `target_parameters` names them.
        public var targetParameters: [String] = []
        /// Names or patterns of modules that get none although `targetModules` reaches them.
        public var excludeModules: [String] = []
        /// An existing PEFT adapter to start from; `nil` = a fresh one. Ranks, alphas and targets then come from its
        /// file.
        public var path: String?

        /// The defaults.
        public init() {}

        /// The keys whose values come from the adapter's file when `path` is given.
        static let keysFromFile: Set<String> = [
            "rank", "alpha", "use_rslora", "target_modules", "target_parameters", "exclude_modules",
        ]
    }

    /// Which linear layers get an adapter.
    public enum TargetModules: Sendable, Equatable {
        /// A group that every architecture knows.
        public enum Group: String, Sendable, CaseIterable {
            /// Every linear layer of every block, those of experts included; never the router, head or embedding.
            case allLinear = "all-linear"
            /// The projections of attention.
            case attention
            /// The projections of dense feed-forward parts.
            case mlp
            /// The projections of experts that every token passes.
            case sharedExperts = "shared-experts"
            /// The projections of the experts that tokens are routed to.
            case experts
            /// What scores the experts.
            case router
        }

        /// A group.
        case group(Group)
        /// One regular expression that has to match a module's whole name, as PEFT takes a string.
        case pattern(String)
        /// Names (whole, or the last parts of a name) and patterns, as PEFT takes a list; never empty.
        case names([String])
    }
}
