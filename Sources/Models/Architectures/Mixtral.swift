import Autograd
public import Checkpoints
public import Foundation
import Layers
public import TensorCore

/// Mixtral: Mistral with a mixture of experts in every layer; softmax over the chosen experts.
public enum Mixtral: ModelArchitecture {
    /// `mixtral`
    public static let modelTypes = ["mixtral"]

    private struct Keys: Codable {
        var experts, chosen: Int?

        enum CodingKeys: String, CodingKey {
            case experts = "num_local_experts"
            case chosen = "num_experts_per_tok"
        }
    }

    /// What transformers takes for keys that are left out.
    private static var defaults: [String: Any] {
        [
            "num_key_value_heads": 8, "max_position_embeddings": 131_072, "rms_norm_eps": 1e-5, "rope_theta": 1e6,
            "num_local_experts": 8, "num_experts_per_tok": 2,
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
            for layer in decoder.layers.indices { decoder.layers[layer].window = common.slidingWindow }
            let sizes = try ExpertSizes(
                count: (Keys.CodingKeys.experts.rawValue, own.experts),
                chosen: (Keys.CodingKeys.chosen.rawValue, own.chosen),
                width: (DecoderConfiguration.CodingKeys.intermediateSize.rawValue, common.intermediateSize))
            let (hidden, function) = (decoder.hiddenSize, decoder.gateFunction)
            // Transformers 5 may also write the names that it has inside.
            let part = tensors.contains("model.layers.0.mlp.gate.weight") ? "mlp" : "block_sparse_moe"
            let paths = ExpertPaths(modules: part + ".experts", gate: "w1", up: "w3", down: "w2")
            decoder.makeFeedForward = { (layer: Int, path: String, loader: WeightLoader) throws(ModelError) in
                let (gateUp, down) = try loader.experts(path, sizes, hidden: hidden, paths: paths)
                return MixtureOfExperts(
                    router: try loader.router("\(path).\(part).gate", experts: sizes.count, hidden: hidden),
                    routing: RoutingOptions(
                        experts: sizes.count, chosen: sizes.chosen, scoring: .softmax, normalizes: true),
                    gateUp: gateUp, down: down, function: function, layer: layer)
            }
            return decoder
        }
    }
}
