import Autograd
public import Checkpoints
public import Foundation
import Layers
public import TensorCore

/// Qwen 3 with mixtures of experts in most layers; softmax over all experts.
public enum Qwen3MoE: ModelArchitecture {
    /// `qwen3_moe`
    public static let modelTypes = ["qwen3_moe"]
    /// `qwen3moe`
    public static let ggufArchitectures = ["qwen3moe"]

    private struct Keys: Codable {
        var experts, localExperts, chosen, width, sparseStep: Int?
        var denseLayers: [Int]?
        var normalizes, usesWindow: Bool?

        enum CodingKeys: String, CodingKey {
            case experts = "num_experts"
            case localExperts = "num_local_experts"
            case chosen = "num_experts_per_tok"
            case width = "moe_intermediate_size"
            case sparseStep = "decoder_sparse_step"
            case denseLayers = "mlp_only_layers"
            case normalizes = "norm_topk_prob"
            case usesWindow = "use_sliding_window"
        }

        /// Whether a layer has experts.
        func isSparse(_ layer: Int) -> Bool {
            !(denseLayers ?? []).contains(layer) && (layer + 1) % max(1, sparseStep ?? 1) == 0
        }
    }

    /// What transformers takes for keys that are left out.
    private static var defaults: [String: Any] {
        [
            "num_key_value_heads": 4, "max_position_embeddings": 32_768, "rms_norm_eps": 1e-6, "sliding_window": 4096,
            "num_experts_per_tok": 8, "moe_intermediate_size": 768,
        ]
    }

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let configuration = try ConfigurationFile.completed(configuration, with: defaults, place: place)
        let common = try DecoderConfiguration.read(configuration, place: place)
        let own = try ConfigurationFile.decode(Keys.self, from: configuration, place: place)
        return try makeDecoder(tensors: tensors, place: place, on: compute) { () throws(ConfigurationProblem) in
            var decoder = try DecoderDescription(common)
            decoder.hasHeadNorms = true
            if own.usesWindow == true {
                for layer in decoder.layers.indices { decoder.layers[layer].window = common.slidingWindow }
            }
            let sizes = try ExpertSizes(
                count: (Keys.CodingKeys.experts.rawValue, own.experts ?? own.localExperts ?? 128),
                chosen: (Keys.CodingKeys.chosen.rawValue, own.chosen),
                width: (Keys.CodingKeys.width.rawValue, own.width))
            decoder.makeFeedForward = { [decoder] (layer: Int, path: String, loader: WeightLoader) throws(ModelError) in
                guard own.isSparse(layer) else { return try decoder.mlp(path + ".mlp", loader) }
                let (gateUp, down) = try loader.experts(path, sizes, hidden: decoder.hiddenSize)
                return MixtureOfExperts(
                    router: try loader.router(path + ".mlp.gate", experts: sizes.count, hidden: decoder.hiddenSize),
                    routing: RoutingOptions(
                        experts: sizes.count, chosen: sizes.chosen, scoring: .softmax,
                        normalizes: own.normalizes ?? false),
                    gateUp: gateUp, down: down, function: decoder.gateFunction, layer: layer)
            }
            return decoder
        }
    }

    /// Describes a GGUF file; see ``ModelArchitecture``. Weights of experts are normalised in all of them.
    public static func translate(_ file: GGUFFile) throws(ModelError) -> GGUFTranslation {
        let decoder = try GGUFDecoder(file)
        var configuration = try decoder.configuration(modelType: "qwen3_moe", class: "Qwen3MoeForCausalLM")
        let (count, chosen) = (try decoder.expertCount(), try decoder.integer("expert_used_count"))
        let width = try decoder.integer("feed_forward_length")
        configuration["num_experts"] = count
        configuration["num_experts_per_tok"] = chosen
        configuration["moe_intermediate_size"] = try decoder.integer(
            "expert_feed_forward_length", default: width / max(1, chosen))
        configuration["norm_topk_prob"] = true
        configuration["decoder_sparse_step"] = 1
        configuration["mlp_only_layers"] = try decoder.layers(withRouter: false)
        return try decoder.translation(
            configuration,
            modules: GGUFModule.norms + GGUFModule.attention + GGUFModule.headNorms + GGUFModule.mlp
                + [GGUFModule("mlp.gate", "ffn_gate_inp")] + GGUFModule.experts("mlp.experts", count: count))
    }
}
