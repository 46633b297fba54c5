/// How low-rank adapters are made and where they go.
public struct AdapterConfiguration: Sendable, Equatable {
    /// Rank of the update of a layer that no pattern names.
    public var rank: Int
    /// Strength of the update of a layer that no pattern names; see ``AdapterStrength/scale``.
    public var alpha: Float
    /// Ranks of layers by name, instead of ``rank``.
    public var rankPatterns = NamePatterns<Int>.none
    /// Strengths of layers by name, instead of ``alpha``.
    public var alphaPatterns = NamePatterns<Float>.none
    /// Whether updates are scaled by `alpha / √rank` (rsLoRA, Kalajdzievski, 2023) instead of `alpha / rank`.
    public var usesRSLoRA: Bool
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
        rank: Int = 16, alpha: Float = 32, usesRSLoRA: Bool = false, dropout: Float = 0,
        targets: ModuleSelection = .group(.allLinear), excluded: ModuleSelection? = nil,
        targetParameters: [String] = [], layout: ExpertBank.FactorLayout = .peft019
    ) {
        (self.rank, self.alpha, self.usesRSLoRA, self.dropout) = (rank, alpha, usesRSLoRA, dropout)
        (self.targets, self.excluded) = (targets, excluded)
        (self.targetParameters, self.layout) = (targetParameters, layout)
    }

    /// Rank and strength of a layer's update.
    /// - Parameter name: path of the module, or of the parameter with all experts, as PEFT names it.
    public func strength(of name: String) -> AdapterStrength {
        let (rank, alpha) = (rankPatterns.value(for: name) ?? rank, alphaPatterns.value(for: name) ?? alpha)
        return AdapterStrength(
            rank: rank, alpha: alpha, scale: usesRSLoRA ? alpha / Float(rank).squareRoot() : alpha / Float(rank))
    }
}

/// Rank and strength of one layer's update.
public struct AdapterStrength: Sendable, Equatable {
    /// Rank of the update.
    public let rank: Int
    /// Its strength as configurations have it.
    public let alpha: Float
    /// Its factor: what `alpha` is at this rank.
    public let scale: Float

    /// Combines the three.
    public init(rank: Int, alpha: Float, scale: Float) { (self.rank, self.alpha, self.scale) = (rank, alpha, scale) }
}
