/// How many tokens each expert of each layer got: filled while models run forward, for reports.
public final class RoutingLog {
    /// Layer → tokens of each expert.
    public private(set) var counts: [Int: [Int]] = [:]

    /// Nothing counted yet.
    public init() {}

    /// Adds the tokens of a batch.
    public func add(_ tokens: [Int], layer: Int) {
        counts[layer] = counts[layer].map { zip($0, tokens).map { $0 + $1 } } ?? tokens
    }

    /// Adds what another log has counted.
    public func add(_ other: RoutingLog) {
        for (layer, tokens) in other.counts { add(tokens, layer: layer) }
    }

    /// Forgets everything.
    public func removeAll() { counts.removeAll() }
}
