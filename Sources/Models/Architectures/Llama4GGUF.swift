import Checkpoints
import Foundation
import TensorCore

/// A GGUF file of the `llama4` architecture in Hugging Face terms. Experts lie there with a row for each output, in one
/// tensor each for gates, ups and downs.
///
/// Chunks, growth of queries and norms of heads are not in the file but follow from what was published.
struct Llama4GGUF {
    private let decoder: GGUFDecoder

    init(_ file: GGUFFile) throws(ModelError) { decoder = try GGUFDecoder(file) }

    func translation() throws(ModelError) -> GGUFTranslation {
        let (hidden, experts) = (try decoder.integer("embedding_length"), try decoder.expertCount())
        let width = try decoder.integer("expert_feed_forward_length")
        let modules = GGUFModule.norms + GGUFModule.attention + Self.feedForward
        return try decoder.translation(
            try configuration(experts: experts, width: width), modules: modules, read: [GGUFDecoder.divisorsName],
            assembled: try mixtures(experts: experts, hidden: hidden, width: width))
    }

    private func configuration(experts: Int, width: Int) throws(ModelError) -> [String: Any] {
        var object = try decoder.configuration(modelType: "llama4_text", class: "Llama4ForCausalLM")
        object["intermediate_size_mlp"] = object["intermediate_size"]
        object["intermediate_size"] = width
        object["num_local_experts"] = experts
        object["num_experts_per_tok"] = try decoder.integer("expert_used_count")
        object["interleave_moe_layer_step"] = try decoder.integer("interleave_moe_layer_step")
        if let scaling = try decoder.llama3Scaling(try decoder.headSize(), highFactors: [1, 4]) {
            object["rope_scaling"] = scaling
        }
        // A window of 0 stands for layers that all know positions and see everything.
        let chunk = try decoder.integer("attention.sliding_window", default: 8192)
        let pattern = try decoder.integer("attention.sliding_window_pattern", default: 4)
        guard chunk >= 0, pattern > 0 else {
            throw decoder.problem("the chunk \(chunk) in \(pattern - 1) of \(pattern) layers cannot be")
        }
        if chunk > 0 { object["attention_chunk_size"] = chunk } else {
            object["layer_types"] = [String](repeating: "full_attention", count: try decoder.layerCount())
        }
        object["no_rope_layers"] = (1...(try decoder.layerCount())).map { chunk > 0 && $0 % pattern == 0 ? 0 : 1 }
        // Of the published models, only the one of 128 experts does not norm its heads.
        object["use_qk_norm"] = experts != 128
        (object["attn_temperature_tuning"], object["floor_scale"], object["attn_scale"]) = (true, 8192, 0.1)
        return object
    }

    /// The experts of every layer that has some, `[experts, inputs, outputs]`.
    private func mixtures(
        experts: Int, hidden: Int, width: Int
    ) throws(ModelError) -> [String: GGUFTranslation.Entry] {
        var entries: [String: GGUFTranslation.Entry] = [:]
        for layer in try decoder.layers(withRouter: true) {
            let (path, stored) = ("model.layers.\(layer).feed_forward.experts.", "blk.\(layer).ffn_")
            let (gate, up, down) = (stored + "gate_exps.weight", stored + "up_exps.weight", stored + "down_exps.weight")
            for (name, shape) in [
                (gate, [experts, width, hidden]), (up, [experts, width, hidden]), (down, [experts, hidden, width]),
            ] {
                let found = try decoder.reporting { () throws(CheckpointError) in try decoder.file.info(name) }.shape
                guard found == shape else {
                    throw .shape(place: decoder.file.path, tensor: name, found: found, expected: shape)
                }
            }
            entries[path + "gate_up_proj"] = .assembly(
                groups: experts, [(gate, isTransposed: true), (up, isTransposed: true)], .sideBySide,
                shape: [experts, hidden, 2 * width])
            entries[path + "down_proj"] = .assembly(
                groups: experts, [(down, isTransposed: true)], .sideBySide, shape: [experts, width, hidden])
        }
        return entries
    }

    private static let feedForward = [
        GGUFModule("feed_forward.gate_proj", "ffn_gate"), GGUFModule("feed_forward.up_proj", "ffn_up"),
        GGUFModule("feed_forward.down_proj", "ffn_down"), GGUFModule("feed_forward.router", "ffn_gate_inp"),
        GGUFModule("feed_forward.shared_expert.gate_proj", "ffn_gate_shexp"),
        GGUFModule("feed_forward.shared_expert.up_proj", "ffn_up_shexp"),
        GGUFModule("feed_forward.shared_expert.down_proj", "ffn_down_shexp"),
    ]
}
