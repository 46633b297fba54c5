public import Autograd
import Foundation

/// How the tokens of a step or a run fell on the experts of every layer.
public struct ExpertUsage: Sendable, Equatable, Codable {
    /// Layers with experts, in order.
    public private(set) var layers: [Int] = []
    /// For each of them the tokens of every expert.
    public private(set) var tokens: [[Int]] = []

    /// No tokens.
    public init() {}

    /// What a log has counted.
    public init(_ log: RoutingLog) {
        layers = log.counts.keys.sorted()
        tokens = layers.map { log.counts[$0] ?? [] }
    }

    /// Whether there are no experts.
    public var isEmpty: Bool { layers.isEmpty }

    /// For each layer the entropy of the distribution of tokens, natural logarithm: ln(experts) where it is even, 0
    /// where one expert gets all.
    public var entropies: [Double] {
        tokens.map { counts in
            let total = Double(counts.reduce(0, +))
            return counts.filter { $0 > 0 }.reduce(0.0) { $0 - Double($1) / total * log(Double($1) / total) }
        }
    }

    /// For each layer the experts that no token reached.
    public var neverReached: [[Int]] { tokens.map { counts in counts.indices.filter { counts[$0] == 0 } } }

    /// Whether the other counts tokens of the same experts of the same layers.
    package func hasSameExperts(as other: ExpertUsage) -> Bool {
        layers == other.layers && tokens.map(\.count) == other.tokens.map(\.count)
    }

    /// Adds the tokens of another step.
    /// - Precondition: they are of the same experts, or one of the two counts none.
    public mutating func add(_ other: ExpertUsage) {
        if isEmpty { return self = other }
        if other.isEmpty { return }
        precondition(hasSameExperts(as: other), "usage of other experts")
        tokens = zip(tokens, other.tokens).map { zip($0, $1).map { $0 + $1 } }
    }
}
