import Autograd
import Checkpoints
import Foundation
import TensorCore

/// A GGUF file of the `llama` architecture in Hugging Face terms.
///
/// llama.cpp stores query and key rows permuted for its rotary kernel, and llama3 scaling as a tensor of divisors; both
/// are translated back here.
struct LlamaGGUF {
    private let file: GGUFFile
    private var headSize = 0

    init(_ file: GGUFFile) throws(ModelError) {
        self.file = file
        if try integer("expert_count", default: 0) > 0 {
            throw .configuration(
                place: file.path, reason: "this llama file is a mixture of experts, which this version cannot read")
        }
        let (heads, hidden) = (try integer("attention.head_count"), try integer("embedding_length"))
        guard heads > 0 else { throw problem("llama.attention.head_count is \(heads), expected a number above 0") }
        headSize = try integer("attention.key_length", default: hidden / heads)
        guard try integer("attention.value_length", default: headSize) == headSize else {
            throw problem("llama.attention.value_length differs from key_length, which this architecture does not allow")
        }
        guard try integer("rope.dimension_count", default: headSize) == headSize else {
            throw problem("llama.rope.dimension_count differs from the head size, which this architecture does not allow")
        }
        guard headSize > 0, headSize % 2 == 0 else { throw problem("the head size is \(headSize), expected an even number above 0") }
    }

    func translation() throws(ModelError) -> GGUFTranslation {
        let layers = try integer("block_count")
        guard layers > 0, layers <= file.tensors.count else {
            throw problem("llama.block_count is \(layers), but the file has \(file.tensors.count) tensors")
        }
        return GGUFTranslation(configuration: try configuration(layers), tensors: names(layers))
    }

    /// Hugging Face name → name in the file, for the tensors that are there.
    private func names(_ layers: Int) -> [String: (name: String, rowOrder: RowOrder)] {
        var result: [String: (name: String, rowOrder: RowOrder)] = [
            "model.embed_tokens.weight": ("token_embd.weight", .plain), "model.norm.weight": ("output_norm.weight", .plain),
        ]
        if file.contains("output.weight") { result["lm_head.weight"] = ("output.weight", .plain) }
        let permuted = RowOrder.interleavedHalves(headSize: headSize)
        let modules: [(String, String, RowOrder)] = [
            ("input_layernorm", "attn_norm", .plain), ("post_attention_layernorm", "ffn_norm", .plain),
            ("self_attn.q_proj", "attn_q", permuted), ("self_attn.k_proj", "attn_k", permuted),
            ("self_attn.v_proj", "attn_v", .plain), ("self_attn.o_proj", "attn_output", .plain),
            ("mlp.gate_proj", "ffn_gate", .plain), ("mlp.up_proj", "ffn_up", .plain), ("mlp.down_proj", "ffn_down", .plain),
        ]
        for layer in 0..<layers {
            for (ours, theirs, order) in modules {
                for part in ["weight", "bias"] where file.contains("blk.\(layer).\(theirs).\(part)") {
                    result["model.layers.\(layer).\(ours).\(part)"] = ("blk.\(layer).\(theirs).\(part)", order)
                }
            }
        }
        return result
    }

    // MARK: config.json

    private func configuration(_ layers: Int) throws(ModelError) -> Data {
        let embedding: GGUFTensorInfo
        do { embedding = try file.info("token_embd.weight") } catch { throw .checkpoint(error) }
        let base = try number("rope.freq_base", default: 10_000)
        var object: [String: Any] = [
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "vocab_size": embedding.shape.first ?? 0, "hidden_size": try integer("embedding_length"),
            "intermediate_size": try integer("feed_forward_length"), "num_hidden_layers": layers,
            "num_attention_heads": try integer("attention.head_count"),
            "num_key_value_heads": try integer("attention.head_count_kv", default: try integer("attention.head_count")),
            "head_dim": headSize, "max_position_embeddings": try integer("context_length", default: 2048),
            "rms_norm_eps": NSDecimalNumber(string: "\(Float(try number("attention.layer_norm_rms_epsilon")))"),
            "rope_theta": base, "tie_word_embeddings": !file.contains("output.weight"),
            "attention_bias": file.contains("blk.0.attn_q.bias"), "mlp_bias": file.contains("blk.0.ffn_gate.bias"),
            "torch_dtype": "bfloat16",
        ]
        if let scaling = try ropeScaling(base) { object["rope_scaling"] = scaling }
        for (key, name) in [("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")] {
            if file.has("tokenizer.ggml.\(name)_token_id") {
                object[key] = try reporting { () throws(CheckpointError) in try file.integer("tokenizer.ggml.\(name)_token_id") }
            }
        }
        do {
            return try JSONSerialization.data(withJSONObject: object, options: [.prettyPrinted, .sortedKeys])
        } catch {
            throw problem("its metadata cannot be written as config.json: \(error.localizedDescription)")
        }
    }

    /// The scaling that the metadata or the tensor `rope_freqs.weight` describes.
    private func ropeScaling(_ base: Double) throws(ModelError) -> [String: Any]? {
        if file.contains("rope_freqs.weight") { return try llama3Scaling(base) }
        guard file.has("llama.rope.scaling.type") else { return nil }
        let type = try reporting { () throws(CheckpointError) in try file.string("llama.rope.scaling.type") }
        switch type {
        case "none": return nil
        case "linear": return ["rope_type": "linear", "factor": try number("rope.scaling.factor")]
        default: throw problem("llama.rope.scaling.type is \(type); supported are none and linear")
        }
    }

    /// The file holds only the divisor of every frequency. The published Llama 3 settings are tried, and then the context
    /// length of the first training is looked for among powers of two; the divisors must come out again.
    private func llama3Scaling(_ base: Double) throws(ModelError) -> [String: Any] {
        let divisors = try reporting { () throws(CheckpointError) in try file.tensor("rope_freqs.weight") }.expandAll()
        let plain = RotaryEmbedding(size: headSize, base: base).frequencies(length: 1).values
        guard divisors.count == plain.count, let factor = divisors.max() else {
            throw problem("rope_freqs.weight has \(divisors.count) numbers, expected \(plain.count)")
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
        throw problem("rope_freqs.weight does not describe a llama3 scaling with frequency factors 1 and 4")
    }

    // MARK: Metadata

    private func integer(_ key: String, default fallback: Int? = nil) throws(ModelError) -> Int {
        try reporting { () throws(CheckpointError) in
            if let fallback { return try file.integer("llama." + key, default: fallback) }
            return try file.integer("llama." + key)
        }
    }

    private func number(_ key: String, default fallback: Double? = nil) throws(ModelError) -> Double {
        try reporting { () throws(CheckpointError) in
            if let fallback { return try file.number("llama." + key, default: fallback) }
            return try file.number("llama." + key)
        }
    }

    private func reporting<T>(_ body: () throws(CheckpointError) -> T) throws(ModelError) -> T {
        do { return try body() } catch { throw .checkpoint(error) }
    }

    private func problem(_ reason: String) -> ModelError { .configuration(place: file.path, reason: reason) }
}
