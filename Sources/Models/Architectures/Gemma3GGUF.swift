import Checkpoints
import Foundation

/// A GGUF file of the `gemma3` architecture in Hugging Face terms. The weights of its norms are `1 + w` already, and some
/// of the configuration is not in the file but follows from the sizes of the published models.
struct Gemma3GGUF {
    private let decoder: GGUFDecoder

    init(_ file: GGUFFile) throws(ModelError) { decoder = try GGUFDecoder(file) }

    func translation() throws(ModelError) -> GGUFTranslation {
        var whole = GGUFModule.whole
        whole[1] = whole[1].raised(by: 1)
        let norms =
            [
                GGUFModule("input_layernorm", "attn_norm"),
                GGUFModule("post_attention_layernorm", "post_attention_norm"),
                GGUFModule("pre_feedforward_layernorm", "ffn_norm"),
                GGUFModule("post_feedforward_layernorm", "post_ffw_norm"),
            ] + GGUFModule.headNorms
        return try decoder.translation(
            try configuration(), modules: norms.map { $0.raised(by: 1) } + GGUFModule.attention + GGUFModule.mlp,
            whole: whole)
    }

    private func configuration() throws(ModelError) -> [String: Any] {
        var object = try decoder.configuration(modelType: "gemma3_text", class: "Gemma3ForCausalLM")
        object["hidden_act"] = nil
        object["hidden_activation"] = "gelu_pytorch_tanh"
        object["rope_theta"] = try decoder.number("rope.freq_base", default: 1_000_000)
        object["rope_local_base_freq"] = try decoder.number("rope.freq_base_swa", default: 10_000)
        object["sliding_window"] = try decoder.integer("attention.sliding_window", default: 4096)
        let layers = try decoder.layerCount()
        let pattern = try decoder.integer("attention.sliding_window_pattern", default: 6)
        guard pattern > 0 else { throw decoder.problem("gemma3.attention.sliding_window_pattern is \(pattern)") }
        object["layer_types"] = (1...layers).map { $0 % pattern == 0 ? "full_attention" : "sliding_attention" }
        // The model of 62 layers is the one whose scores are scaled by its hidden size per head.
        let perHead = try decoder.integer("embedding_length") / decoder.integer("attention.head_count")
        object["query_pre_attn_scalar"] = layers == 62 ? perHead : try decoder.headSize()
        for key in ["attn_logit_softcapping", "final_logit_softcapping"] where decoder.has(key) {
            object[key] = try decoder.number(key)
        }
        return object
    }
}
