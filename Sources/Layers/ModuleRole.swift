/// What a layer is for: adapters are aimed at roles, and what is trained is reported by role.
public enum ModuleRole: String, Sendable, CaseIterable {
    /// Projections of attention.
    case attention
    /// Projections of a dense feed-forward block.
    case mlp
    /// Projections of the experts that tokens are routed to.
    case experts
    /// Projections of experts that every token passes.
    case sharedExperts = "shared-experts"
    /// What scores the experts.
    case router
}
