import Checkpoints
import Foundation

/// A GGUF file of the `phi3` architecture in Hugging Face terms. The divisors of LongRoPE are tensors there.
struct Phi3GGUF {
    private let decoder: GGUFDecoder
    private static let (longName, shortName) = ("rope_factors_long.weight", "rope_factors_short.weight")

    init(_ file: GGUFFile) throws(ModelError) { decoder = try GGUFDecoder(file) }

    func translation() throws(ModelError) -> GGUFTranslation {
        var configuration = try decoder.configuration(modelType: "phi3", class: "Phi3ForCausalLM")
        // The head size is not among the keys of a Phi-3 configuration.
        configuration["head_dim"] = nil
        let original = try decoder.integer(
            "rope.scaling.original_context_length", default: try decoder.integer("context_length"))
        configuration["original_max_position_embeddings"] = original
        let window = try decoder.integer("attention.sliding_window", default: 0)
        if window > 0 { configuration["sliding_window"] = window }
        if decoder.file.contains(Self.longName) {
            var scaling: [String: Any] = [
                "type": "longrope", "long_factor": try decoder.floats(Self.longName).map(Double.init),
                "short_factor": try decoder.floats(Self.shortName).map(Double.init),
            ]
            if decoder.has("rope.scaling.attn_factor") {
                scaling["attention_factor"] = try decoder.number("rope.scaling.attn_factor")
            }
            configuration["rope_scaling"] = scaling
        }
        let modules = [
            GGUFModule("self_attn.qkv_proj", "attn_qkv"), GGUFModule("self_attn.o_proj", "attn_output"),
            GGUFModule("mlp.gate_up_proj", "ffn_up"), GGUFModule("mlp.down_proj", "ffn_down"),
        ]
        return try decoder.translation(
            configuration, modules: GGUFModule.norms + modules, read: [Self.longName, Self.shortName])
    }
}
