import Autograd
import Foundation

/// How rotary frequencies are stretched for contexts longer than those of the first training.
enum RotaryScaling: Equatable {
    case none
    /// All frequencies divided by the factor.
    case linear(factor: Double)
    /// Beyond `length` tokens the base grows with the sequence, up to `factor` times the context (NTK-aware scaling).
    case dynamic(factor: Double, length: Double)
    /// Llama 3.1: long wavelengths divided by the factor, short ones kept, those between blended.
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalLength: Double)
    case yarn(YaRN)
    case longRoPE(LongRoPE)

    /// YaRN (Peng et al., 2023): pairs that turn often within the original length are kept, those that turn rarely
    /// divided by the factor, those between blended along a ramp over their index.
    struct YaRN: Equatable {
        var factor: Double
        var originalLength: Double
        /// Turns within the original length at which the ramp ends and begins.
        var fastTurns = 32.0
        var slowTurns = 1.0
        /// Whether the ends of the ramp are moved outwards to whole indices.
        var wholeIndices = true
        /// Factor of cosines and sines.
        var magnitude: Double
    }

    /// LongRoPE (Ding et al., 2024): a divisor for each pair, from one table up to the original length and from another
    /// beyond it. All positions of a sequence use the table that its length asks for.
    struct LongRoPE: Equatable {
        var short, long: [Double]
        var originalLength: Double
        /// Factor of cosines and sines.
        var magnitude: Double
    }
}

/// A rotary position embedding: which elements of a head it turns, and how fast.
struct RotaryEmbedding: Equatable {
    /// Rotated elements of a head, an even number.
    let size: Int
    let base: Double
    var scaling = RotaryScaling.none

    /// The rotation of a sequence of `length` tokens.
    func frequencies(length: Int) -> RotaryFrequencies {
        let plain = frequencies(base: base)
        switch scaling {
        case .none: return RotaryFrequencies(plain)
        case .linear, .llama3: return RotaryFrequencies(plain.map { $0 / divisor(of: $0) })
        case .dynamic(let factor, let limit):
            let stretch = max(1, factor * max(Double(length), limit) / limit - (factor - 1))
            return RotaryFrequencies(frequencies(base: base * pow(stretch, Double(size) / Double(size - 2))))
        case .yarn(let yarn): return RotaryFrequencies(stretched(plain, yarn), magnitude: yarn.magnitude)
        case .longRoPE(let rope):
            let divisors = Double(length) > rope.originalLength ? rope.long : rope.short
            return RotaryFrequencies(zip(plain, divisors).map { $0 / $1 }, magnitude: rope.magnitude)
        }
    }

    /// What a frequency is divided by in the scalings that look at nothing else.
    func divisor(of frequency: Double) -> Double {
        switch scaling {
        case .linear(let factor): return factor
        case .llama3(let factor, let low, let high, let originalLength):
            let wavelength = 2 * Double.pi / frequency
            if wavelength > originalLength / low { return factor }
            if wavelength < originalLength / high || high == low { return 1 }
            let smooth = (originalLength / wavelength - low) / (high - low)
            return 1 / ((1 - smooth) / factor + smooth)
        default: return 1
        }
    }

    private func frequencies(base: Double) -> [Double] {
        stride(from: 0, to: size, by: 2).map { 1 / pow(base, Double($0) / Double(size)) }
    }

    private func stretched(_ plain: [Double], _ yarn: RotaryScaling.YaRN) -> [Double] {
        /// The index at which a pair makes so many turns within the original length.
        func index(turns: Double) -> Double {
            Double(size) * log(yarn.originalLength / (turns * 2 * .pi)) / (2 * log(base))
        }
        var (low, high) = (index(turns: yarn.fastTurns), index(turns: yarn.slowTurns))
        if yarn.wholeIndices { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        (low, high) = (max(low, 0), min(high, Double(size - 1)))
        if low == high { high += 0.001 }
        return plain.enumerated().map { position, frequency in
            let ramp = min(max((Double(position) - low) / (high - low), 0), 1)
            return frequency / yarn.factor * ramp + frequency * (1 - ramp)
        }
    }
}
