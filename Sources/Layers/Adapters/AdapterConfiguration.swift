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

    /// The settings of an adapter.
    public init(
        rank: Int = 16, alpha: Float = 32, dropout: Float = 0, targets: ModuleSelection = .group(.allLinear),
        excluded: ModuleSelection? = nil
    ) {
        (self.rank, self.alpha, self.dropout, self.targets, self.excluded) = (rank, alpha, dropout, targets, excluded)
    }

    /// Factor of the update.
    public var scale: Float { alpha / Float(rank) }
}
