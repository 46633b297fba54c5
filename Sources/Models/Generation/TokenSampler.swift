import Foundation
public import TensorCore

/// Chooses the next token from logits.
public struct TokenSampler: Sendable {
    /// 0 takes the most likely token; 1 samples from the model's own distribution.
    public let temperature: Double
    /// Sampling is among the most likely tokens that together have this probability.
    public let topP: Double
    private let random: RandomStream
    private var drawn = 0

    /// A sampler; the same seed gives the same choices.
    public init(temperature: Double = 0, topP: Double = 1, seed: UInt64 = 0) {
        (self.temperature, self.topP) = (temperature, topP)
        random = RandomStream(seed: seed, purpose: .sampling, stream: 0)
    }

    /// The next token's id for logits `[vocabulary]`. The lowest id wins a tie.
    public mutating func next(_ logits: Tensor) -> Int32 {
        let best = logits.indexOfLargest
        guard temperature > 0 else { return Int32(best) }
        let values = logits.toArray()
        let weights = values.map { exp((Double($0) - Double(values[best])) / temperature) }
        let number = Double(random.uniform(count: 1, from: drawn)[0])
        drawn += 1
        return Int32(Self.choose(weights, topP: topP, number: number))
    }

    /// The token at `number` (in `[0, 1)`) of the summed weights of the most likely tokens.
    private static func choose(_ weights: [Double], topP: Double, number: Double) -> Int {
        let total = weights.reduce(0, +), limit = total * min(1, topP)
        var order = Array(weights.indices)
        if topP < 1 {
            // What is left out here cannot add up to what may be left out, with room for rounding.
            let least = (total - limit) / Double(2 * weights.count)
            order.removeAll { weights[$0] < least }
            order.sort { weights[$0] != weights[$1] ? weights[$0] > weights[$1] : $0 < $1 }
        }
        var (kept, sum) = (0, 0.0)
        while kept < order.count, kept == 0 || sum < limit {
            sum += weights[order[kept]]
            kept += 1
        }
        var left = number * sum
        for token in order.prefix(kept) {
            left -= weights[token]
            if left < 0 { return token }
        }
        return order[kept - 1]
    }
}
