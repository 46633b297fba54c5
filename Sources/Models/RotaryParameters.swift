import Foundation

/// `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5) of a `config.json`.
struct RotaryParameters: Codable {
    var ropeTheta: Double?
    var ropeType: String?
    var type: String?
    var factor: Double?
    var lowFreqFactor, highFreqFactor: Double?
    var originalMaxPositionEmbeddings: Double?
    var partialRotaryFactor: Double?
    var attentionFactor: Double?
    var betaFast, betaSlow: Double?
    var mscale, mscaleAllDim: Double?
    var truncate: Bool?
    var shortFactor, longFactor: [Double]?

    enum CodingKeys: String, CodingKey {
        case ropeTheta = "rope_theta"
        case ropeType = "rope_type"
        case type, factor
        case lowFreqFactor = "low_freq_factor"
        case highFreqFactor = "high_freq_factor"
        case originalMaxPositionEmbeddings = "original_max_position_embeddings"
        case partialRotaryFactor = "partial_rotary_factor"
        case attentionFactor = "attention_factor"
        case betaFast = "beta_fast"
        case betaSlow = "beta_slow"
        case mscale
        case mscaleAllDim = "mscale_all_dim"
        case truncate
        case shortFactor = "short_factor"
        case longFactor = "long_factor"
    }

    /// What of a configuration a scaling depends on besides its own parameters.
    struct Surroundings {
        /// `max_position_embeddings`.
        var maximumLength: Int?
        /// `original_max_position_embeddings` beside the parameters; goes before the one among them.
        var originalLength: Double?
        /// Rotated elements of a head.
        var size: Int
    }

    /// The scaling described.
    func scaling(_ surroundings: Surroundings) throws(ConfigurationProblem) -> RotaryScaling {
        switch ropeType ?? type ?? "default" {
        case "default": return .none
        case "linear": return .linear(factor: try positive(factor, "factor"))
        case "dynamic":
            guard surroundings.size > 2 else {
                throw ConfigurationProblem("dynamic rope_scaling needs more than 2 rotated elements")
            }
            return .dynamic(
                factor: try positive(factor, "factor"),
                length: try positive(surroundings.maximumLength.map(Double.init), "max_position_embeddings"))
        case "llama3":
            return .llama3(
                factor: try positive(factor, "factor"),
                lowFrequencyFactor: try positive(lowFreqFactor, "low_freq_factor"),
                highFrequencyFactor: try positive(highFreqFactor, "high_freq_factor"),
                originalLength: try originalLength(surroundings))
        case "yarn": return .yarn(try yarn(surroundings))
        case "longrope": return .longRoPE(try longRoPE(surroundings))
        case let other:
            throw ConfigurationProblem(
                "rope_scaling type \(other) is not supported; supported are default, linear, dynamic, llama3, yarn and longrope"
            )
        }
    }

    private func positive(_ value: Double?, _ key: String) throws(ConfigurationProblem) -> Double {
        guard let value, value > 0, value.isFinite else {
            throw ConfigurationProblem("rope_scaling.\(key) must be a number above 0")
        }
        return value
    }

    private func originalLength(_ s: Surroundings) throws(ConfigurationProblem) -> Double {
        try positive(
            s.originalLength ?? originalMaxPositionEmbeddings ?? s.maximumLength.map(Double.init),
            "original_max_position_embeddings")
    }

    /// The factor, or how much longer the context is than the original one.
    private func factor(_ s: Surroundings, over original: Double) throws(ConfigurationProblem) -> Double {
        try positive(factor ?? s.maximumLength.map { Double($0) / original }, "factor")
    }

    private func yarn(_ s: Surroundings) throws(ConfigurationProblem) -> RotaryScaling.YaRN {
        let original = try originalLength(s)
        let factor = try factor(s, over: original)
        func magnitude(_ weight: Double) -> Double { factor <= 1 ? 1 : 0.1 * weight * log(factor) + 1 }
        var own = magnitude(1)
        if let mscale, let mscaleAllDim, mscale != 0, mscaleAllDim != 0 {
            own = magnitude(mscale) / magnitude(mscaleAllDim)
        }
        func turns(_ value: Double?, _ fallback: Double, _ key: String) throws(ConfigurationProblem) -> Double {
            try positive(value == 0 ? fallback : value ?? fallback, key)
        }
        return RotaryScaling.YaRN(
            factor: factor, originalLength: original, fastTurns: try turns(betaFast, 32, "beta_fast"),
            slowTurns: try turns(betaSlow, 1, "beta_slow"), wholeIndices: truncate ?? true,
            magnitude: try positive(attentionFactor ?? own, "attention_factor"))
    }

    private func longRoPE(_ s: Surroundings) throws(ConfigurationProblem) -> RotaryScaling.LongRoPE {
        let original = try originalLength(s)
        let factor = try factor(s, over: original)
        let own = factor <= 1 ? 1 : (1 + log(factor) / log(original)).squareRoot()
        func table(_ values: [Double]?, _ key: String) throws(ConfigurationProblem) -> [Double] {
            guard let values, values.count == s.size / 2, values.allSatisfy({ $0 > 0 && $0.isFinite }) else {
                throw ConfigurationProblem("rope_scaling.\(key) must be \(s.size / 2) numbers above 0")
            }
            return values
        }
        return RotaryScaling.LongRoPE(
            short: try table(shortFactor, "short_factor"), long: try table(longFactor, "long_factor"),
            originalLength: original, magnitude: try positive(attentionFactor ?? own, "attention_factor"))
    }
}

/// A sentence about a configuration, without its place.
struct ConfigurationProblem: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}
