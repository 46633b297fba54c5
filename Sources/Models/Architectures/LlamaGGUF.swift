import Autograd
import Checkpoints
import Foundation
import TensorCore

/// A GGUF file of the `llama` architecture in Hugging Face terms. Mistral's files say that they are of this architecture.
///
/// llama.cpp stores query and key rows permuted for its rotary kernel, and llama3 scaling as a tensor of divisors; both
/// are translated back here.
struct LlamaGGUF {
    private let decoder: GGUFDecoder
    private static let divisorsName = "rope_freqs.weight"

    init(_ file: GGUFFile) throws(ModelError) { decoder = try GGUFDecoder(file) }

    func translation() throws(ModelError) -> GGUFTranslation {
        let headSize = try decoder.headSize()
        if try decoder.integer("expert_count", default: 0) > 0 {
            throw decoder.problem("this llama file is a mixture of experts, which this version cannot read")
        }
        guard try decoder.integer("rope.dimension_count", default: headSize) == headSize else {
            throw decoder.problem(
                "llama.rope.dimension_count differs from the head size, which this architecture does not allow")
        }
        var configuration = try decoder.configuration(modelType: "llama", class: "LlamaForCausalLM")
        configuration["attention_bias"] = decoder.file.contains("blk.0.attn_q.bias")
        configuration["mlp_bias"] = decoder.file.contains("blk.0.ffn_gate.bias")
        if decoder.file.contains(Self.divisorsName) { configuration["rope_scaling"] = try llama3Scaling(headSize) }
        let attention = GGUFModule.attention.map { module in
            ["attn_q", "attn_k"].contains(module.stored)
                ? module.ordered(.interleavedHalves(headSize: headSize)) : module
        }
        return try decoder.translation(
            configuration, modules: GGUFModule.norms + attention + GGUFModule.mlp, read: [Self.divisorsName])
    }

    /// The file holds only the divisor of every frequency. The published Llama 3 settings are tried, and then the context
    /// length of the first training is looked for among powers of two; the divisors must come out again.
    private func llama3Scaling(_ headSize: Int) throws(ModelError) -> [String: Any] {
        let base = try decoder.number("rope.freq_base", default: 10_000)
        let divisors = try decoder.floats(Self.divisorsName)
        let plain = RotaryEmbedding(size: headSize, base: base).frequencies(length: 1).values
        guard divisors.count == plain.count, let factor = divisors.max() else {
            throw decoder.problem("\(Self.divisorsName) has \(divisors.count) numbers, expected \(plain.count)")
        }
        for exponent in [13] + Array(4...20) {
            let length = Double(1 << exponent)
            let scaling = RotaryEmbedding(
                size: headSize, base: base,
                scaling: .llama3(
                    factor: Double(factor), lowFrequencyFactor: 1, highFrequencyFactor: 4, originalLength: length))
            if zip(plain, divisors).allSatisfy({ abs(Float(scaling.divisor(of: $0)) - $1) <= 1e-4 * $1 }) {
                return [
                    "rope_type": "llama3", "factor": Double(factor), "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 1 << exponent,
                ]
            }
        }
        throw decoder.problem("\(Self.divisorsName) does not describe a llama3 scaling with frequency factors 1 and 4")
    }
}
