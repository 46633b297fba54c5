/// How low-rank adapters are made and where they go.
public struct AdapterConfiguration: Sendable, Equatable {
    /// Rank of the update.
    public var rank: Int
    /// The update is scaled by `alpha / rank`.
    public var alpha: Float
    /// Share of an adapter's inputs that training sets to zero, in `[0, 1)`.
    public var dropout: Float
    /// Layers that get an adapter.
    public var targets: ModuleSelection
    /// Layers that do not, though they are targets.
    public var excluded: ModuleSelection?
    /// Parameters with the weights of all experts that get an adapter besides, with the meaning of PEFT's
    /// `target_parameters`: a whole path or its end after a dot.
    public var targetParameters: [String]
    /// How adapters over all experts are laid out.
    public var layout: ExpertBank.FactorLayout

    /// The settings of an adapter.
    public init(
        rank: Int = 16, alpha: Float = 32, dropout: Float = 0, targets: ModuleSelection = .group(.allLinear),
        excluded: ModuleSelection? = nil, targetParameters: [String] = [], layout: ExpertBank.FactorLayout = .peft019
    ) {
        (self.rank, self.alpha, self.dropout, self.targets, self.excluded) = (rank, alpha, dropout, targets, excluded)
        (self.targetParameters, self.layout) = (targetParameters, layout)
    }

    /// Factor of the update.
    public var scale: Float { alpha / Float(rank) }
}
