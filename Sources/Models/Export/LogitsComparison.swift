import Autograd
public import TensorCore

/// How far apart the logits of two models are on the same tokens.
public struct LogitsComparison: Sendable {
    /// Largest and mean absolute difference.
    public let largest, mean: Double
    /// Root of the mean squared difference over that of the first model's logits.
    public let relative: Double
    /// Share of positions at which both prefer the same token.
    public let sameChoice: Double

    /// Compares logits `[tokens, vocabulary]`.
    public init(_ a: Tensor, _ b: Tensor) {
        precondition(a.shape == b.shape, "logits \(a.shape) and \(b.shape)")
        let (x, y) = (a.toArray(), b.toArray())
        var (largest, sum, squares, scale) = (0.0, 0.0, 0.0, 0.0)
        for (left, right) in zip(x, y) {
            let difference = abs(Double(left) - Double(right))
            largest = max(largest, difference)
            sum += difference
            squares += difference * difference
            scale += Double(left) * Double(left)
        }
        let width = a.columns
        let same = (0..<a.rows).count { row in
            let range = row * width..<(row + 1) * width
            return range.max { x[$0] < x[$1] } == range.max { y[$0] < y[$1] }
        }
        // A NaN or infinity on either side makes `squares` or `scale` one: nothing is proven then.
        let isFinite = squares.isFinite && scale.isFinite
        self.largest = isFinite ? largest : .infinity
        mean = isFinite ? sum / Double(max(1, x.count)) : .infinity
        relative = !isFinite ? .infinity : scale > 0 ? (squares / scale).squareRoot() : squares > 0 ? .infinity : 0
        sameChoice = Double(same) / Double(max(1, a.rows))
    }

    /// The share of the step from `start` to `end` that `found` goes in its direction: 1 is all of it, 0 nothing.
    public static func share(of end: Tensor, from start: Tensor, in found: Tensor) -> Double {
        let (a, b, c) = (start.toArray(), end.toArray(), found.toArray())
        var (along, length) = (0.0, 0.0)
        for index in a.indices {
            let step = Double(b[index]) - Double(a[index])
            along += step * (Double(c[index]) - Double(a[index]))
            length += step * step
        }
        return length > 0 ? along / length : .nan
    }

    /// Tokens of a comparison where nothing else is said.
    public static let probeCount = 48

    /// Token ids for a comparison, spread over the vocabulary; the same for every run.
    public static func probe(vocabulary: Int, count: Int = probeCount) -> [Int32] {
        RandomStream(seed: 1, purpose: .sampling, stream: 1).uniform(count: count).map { Int32($0 * Float(vocabulary)) }
    }
}
