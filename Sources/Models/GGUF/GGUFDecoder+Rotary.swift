import Autograd
import Checkpoints
import Foundation

extension GGUFDecoder {
    /// The tensor that holds the divisor of every rotary frequency.
    static let divisorsName = "rope_freqs.weight"

    /// The llama3 scaling behind the divisors of the frequencies; nil if the file has none.
    ///
    /// The file holds nothing but the divisors. The published settings are tried, and then the context length of the
    /// first training is looked for among powers of two; the divisors must come out again.
    /// - Parameter highFactors: frequency factors of short wavelengths that the architecture's models have; 1 is that
    ///   of long ones in all of them.
    func llama3Scaling(_ headSize: Int, highFactors: [Double] = [4]) throws(ModelError) -> [String: Any]? {
        guard file.contains(Self.divisorsName) else { return nil }
        let base = try number("rope.freq_base", default: 10_000)
        let divisors = try floats(Self.divisorsName)
        let plain = RotaryEmbedding(size: headSize, base: base).frequencies(length: 1).values
        guard divisors.count == plain.count, let factor = divisors.max() else {
            throw problem("\(Self.divisorsName) has \(divisors.count) numbers, expected \(plain.count)")
        }
        for high in highFactors {
            for exponent in [13] + Array(4...20) {
                let scaling = RotaryEmbedding(
                    size: headSize, base: base,
                    scaling: .llama3(
                        factor: Double(factor), lowFrequencyFactor: 1, highFrequencyFactor: high,
                        originalLength: Double(1 << exponent)))
                if zip(plain, divisors).allSatisfy({ abs(Float(scaling.divisor(of: $0)) - $1) <= 1e-4 * $1 }) {
                    return [
                        "rope_type": "llama3", "factor": Double(factor), "low_freq_factor": 1.0,
                        "high_freq_factor": high, "original_max_position_embeddings": 1 << exponent,
                    ]
                }
            }
        }
        throw problem("\(Self.divisorsName) does not describe a llama3 scaling of the published models")
    }
}
