import Checkpoints
import Foundation
import TensorCore

/// A GGUF file of the `deepseek2` architecture in Hugging Face terms. Keys and values come from one matrix, or, in
/// newer files, from one for each, of which that of the keys is transposed in every head.
struct DeepseekV3GGUF {
    private let decoder: GGUFDecoder

    init(_ file: GGUFFile) throws(ModelError) { decoder = try GGUFDecoder(file) }

    func translation() throws(ModelError) -> GGUFTranslation {
        // 1 is softmax, which files without the key mean: DeepSeek-V2.
        let gating = try decoder.integer("expert_gating_func", default: 1)
        guard gating == 2 else {
            throw decoder.problem(
                "deepseek2.expert_gating_func is \(gating), expected 2 (sigmoid): DeepSeek-V3 is read, V2 is not")
        }
        let rotated = try decoder.integer("rope.dimension_count")
        let head = try decoder.integer("attention.key_length_mla", default: try decoder.integer("attention.key_length"))
        let value = try decoder.integer(
            "attention.value_length_mla", default: try decoder.integer("attention.value_length"))
        guard rotated > 0, head > rotated, value > 0, head <= 1 << 20, value <= 1 << 20 else {
            throw decoder.problem("heads of \(head) elements with \(rotated) rotated and \(value) of values cannot be")
        }
        let experts = try decoder.expertCount()
        var configuration = try configuration(experts)
        configuration["qk_nope_head_dim"] = head - rotated
        configuration["qk_rope_head_dim"] = rotated
        configuration["v_head_dim"] = value
        let modules = GGUFModule.norms + Self.attention + GGUFModule.mlp + Self.sparse
            + GGUFModule.experts("mlp.experts", count: experts)
        return try decoder.translation(
            configuration, modules: modules, assembled: try keyValues(content: head - rotated, value: value))
    }

    private func configuration(_ experts: Int) throws(ModelError) -> [String: Any] {
        let rotated = try decoder.integer("rope.dimension_count")
        var object = try decoder.configuration(
            modelType: "deepseek_v3", class: "DeepseekV3ForCausalLM", headSize: rotated)
        object["head_dim"] = nil
        // Newer files count the one narrow vector as one head of keys and values.
        object["num_key_value_heads"] = object["num_attention_heads"]
        if decoder.has("attention.q_lora_rank") {
            object["q_lora_rank"] = try decoder.integer("attention.q_lora_rank")
        } else {
            object["q_lora_rank"] = NSNull()
        }
        object["kv_lora_rank"] = try decoder.integer("attention.kv_lora_rank")
        object["n_routed_experts"] = experts
        object["num_experts_per_tok"] = try decoder.integer("expert_used_count")
        object["moe_intermediate_size"] = try decoder.integer("expert_feed_forward_length")
        object["n_shared_experts"] = try decoder.integer("expert_shared_count")
        object["first_k_dense_replace"] = try decoder.integer("leading_dense_block_count", default: 0)
        // Files from before llama.cpp knew groups lack them, and it computes without.
        object["n_group"] = try decoder.integer("expert_group_count", default: 1)
        object["topk_group"] = try decoder.integer("expert_group_used_count", default: 1)
        object["routed_scaling_factor"] = try decoder.number("expert_weights_scale", default: 1)
        object["norm_topk_prob"] = try decoder.flag("expert_weights_norm", default: false)
        if var scaling = object["rope_scaling"] as? [String: Any], decoder.has("rope.scaling.yarn_log_multiplier") {
            // A tenth of what scales both the scores and, against it, the rotation.
            let weight = (try decoder.number("rope.scaling.yarn_log_multiplier") * 1e7).rounded() / 1e6
            (scaling["mscale"], scaling["mscale_all_dim"]) = (weight, weight)
            object["rope_scaling"] = scaling
        }
        return object
    }

    /// Where keys and values have a tensor each, the matrix that is both.
    private func keyValues(content: Int, value: Int) throws(ModelError) -> [String: GGUFTranslation.Entry] {
        let (heads, rank) = (
            try decoder.integer("attention.head_count"), try decoder.integer("attention.kv_lora_rank")
        )
        var entries: [String: GGUFTranslation.Entry] = [:]
        for layer in 0..<(try decoder.layerCount()) {
            let (keys, values) = ("blk.\(layer).attn_k_b.weight", "blk.\(layer).attn_v_b.weight")
            guard decoder.file.contains(keys) else { continue }
            for (name, shape) in [(keys, [heads, rank, content]), (values, [heads, value, rank])] {
                let found = try decoder.reporting { () throws(CheckpointError) in try decoder.file.info(name) }.shape
                guard found == shape else {
                    throw .shape(place: decoder.file.path, tensor: name, found: found, expected: shape)
                }
            }
            entries["model.layers.\(layer).self_attn.kv_b_proj.weight"] = .assembly(
                groups: heads, [(keys, isTransposed: true), (values, isTransposed: false)], .stacked,
                shape: [heads * (content + value), rank])
        }
        return entries
    }

    private static let attention = [
        GGUFModule("self_attn.q_proj", "attn_q"), GGUFModule("self_attn.q_a_proj", "attn_q_a"),
        GGUFModule("self_attn.q_a_layernorm", "attn_q_a_norm"), GGUFModule("self_attn.q_b_proj", "attn_q_b"),
        GGUFModule("self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"),
        GGUFModule("self_attn.kv_a_layernorm", "attn_kv_a_norm"), GGUFModule("self_attn.kv_b_proj", "attn_kv_b"),
        GGUFModule("self_attn.o_proj", "attn_output"),
    ]
    private static let sparse = [
        GGUFModule("mlp.gate", "ffn_gate_inp"),
        GGUFModule("mlp.gate.e_score_correction_bias", "exp_probs_b").withoutEndings,
        GGUFModule("mlp.shared_experts.gate_proj", "ffn_gate_shexp"),
        GGUFModule("mlp.shared_experts.up_proj", "ffn_up_shexp"),
        GGUFModule("mlp.shared_experts.down_proj", "ffn_down_shexp"),
    ]
}
