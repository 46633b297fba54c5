/// How an epoch is cut into micro-batches.
public struct BatchOptions: Sendable, Equatable, Codable {
    /// The size of a micro-batch.
    public enum Size: Sendable, Equatable, Codable {
        /// At most so many tokens, whole examples only; one example that is longer stands alone.
        case tokens(Int)
        /// So many examples, whatever their length; the last batch of an epoch may hold fewer.
        case sequences(Int)
    }

    /// The size of a micro-batch, at least 1.
    public var size: Size
    /// Whether examples are chosen so that they fill the token budget well; without it they are taken in order.
    /// Means nothing for `Size.sequences`.
    public var packing: Bool
    /// Whether every epoch visits the examples in an order of its own.
    public var shuffle: Bool
    /// Fixes the orders.
    public var seed: UInt64
    /// How often an epoch visits each source, above 0; 1 for sources behind the last.
    public var weights: [Double]

    /// Options as a recipe gives them.
    public init(
        size: Size, packing: Bool = true, shuffle: Bool = true, seed: UInt64 = 42, weights: [Double] = []
    ) {
        self.size = size
        self.packing = packing
        self.shuffle = shuffle
        self.seed = seed
        self.weights = weights
    }
}
