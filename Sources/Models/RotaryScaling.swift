import Foundation

/// How rotary frequencies are stretched for contexts longer than those of the first training.
enum RotaryScaling: Equatable {
    case none
    /// All frequencies divided by the factor.
    case linear(factor: Double)
    /// Llama 3.1: long wavelengths divided by the factor, short ones kept, those between blended.
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalLength: Double)

    /// Angle per position of each rotated pair, `headSize / 2` of them.
    func frequencies(headSize: Int, base: Double) -> [Double] {
        stride(from: 0, to: headSize, by: 2).map { index in
            let plain = 1 / pow(base, Double(index) / Double(headSize))
            return plain / divisor(of: plain)
        }
    }

    /// What a frequency is divided by.
    func divisor(of frequency: Double) -> Double {
        switch self {
        case .none: return 1
        case .linear(let factor): return factor
        case .llama3(let factor, let low, let high, let originalLength):
            let wavelength = 2 * Double.pi / frequency
            if wavelength > originalLength / low { return factor }
            if wavelength < originalLength / high || high == low { return 1 }
            let smooth = (originalLength / wavelength - low) / (high - low)
            return 1 / ((1 - smooth) / factor + smooth)
        }
    }
}

/// `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5) of a `config.json`.
struct RotaryParameters: Codable {
    var ropeTheta: Double?
    var ropeType: String?
    var type: String?
    var factor: Double?
    var lowFreqFactor: Double?
    var highFreqFactor: Double?
    var originalMaxPositionEmbeddings: Double?

    enum CodingKeys: String, CodingKey {
        case ropeTheta = "rope_theta"
        case ropeType = "rope_type"
        case type, factor
        case lowFreqFactor = "low_freq_factor"
        case highFreqFactor = "high_freq_factor"
        case originalMaxPositionEmbeddings = "original_max_position_embeddings"
    }

    /// The scaling described, or the reason why it cannot be used.
    func scaling() -> Result<RotaryScaling, ConfigurationProblem> {
        func positive(_ value: Double?, _ key: String) throws(ConfigurationProblem) -> Double {
            guard let value, value > 0, value.isFinite else {
                throw ConfigurationProblem("rope_scaling.\(key) must be a number above 0")
            }
            return value
        }
        return Result { () throws(ConfigurationProblem) -> RotaryScaling in
            switch ropeType ?? type ?? "default" {
            case "default": return .none
            case "linear": return .linear(factor: try positive(factor, "factor"))
            case "llama3":
                return .llama3(
                    factor: try positive(factor, "factor"),
                    lowFrequencyFactor: try positive(lowFreqFactor, "low_freq_factor"),
                    highFrequencyFactor: try positive(highFreqFactor, "high_freq_factor"),
                    originalLength: try positive(originalMaxPositionEmbeddings, "original_max_position_embeddings"))
            case let other:
                throw ConfigurationProblem("rope_scaling type \(other) is not supported; supported are default, linear and llama3")
            }
        }
    }
}

/// A sentence about a configuration, without its place.
struct ConfigurationProblem: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}
