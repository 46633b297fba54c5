import Autograd
public import Checkpoints
public import Foundation
import Layers
public import TensorCore

/// gpt-oss with weights of 16 or 32 bits, or experts in MXFP4: attention sinks, biases everywhere, and mixtures of experts with clamped,
/// interleaved gates.
public enum GPTOSS: ModelArchitecture {
    /// `gpt_oss`
    public static let modelTypes = ["gpt_oss"]

    private struct Keys: Codable {
        var experts, chosen: Int?
        var limit, alpha: Double?

        enum CodingKeys: String, CodingKey {
            case experts = "num_local_experts"
            case chosen = "num_experts_per_tok"
            case limit = "swiglu_limit"
            case alpha = "swiglu_alpha"
        }
    }

    /// The rotation of a configuration that says nothing about it.
    private static let stretched = RotaryParameters(
        ropeType: "yarn", factor: 32, originalMaxPositionEmbeddings: 4096, betaFast: 32, betaSlow: 1, truncate: false)

    /// What transformers takes for keys that are left out.
    private static var defaults: [String: Any] {
        [
            "num_key_value_heads": 8, "head_dim": 64, "max_position_embeddings": 131_072, "rms_norm_eps": 1e-5,
            "rope_theta": 150_000, "sliding_window": 128, "num_local_experts": 128, "num_experts_per_tok": 4,
        ]
    }

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let configuration = try ConfigurationFile.completed(configuration, with: defaults, place: place)
        var common = try DecoderConfiguration.read(configuration, place: place)
        let keys = try ConfigurationFile.decode(Keys.self, from: configuration, place: place)
        if common.rotaryParameters == nil { common.ropeParameters = stretched }
        return try makeDecoder(tensors: tensors, place: place, on: compute) { [common] () throws(ConfigurationProblem) in
            var decoder = try DecoderDescription(common)
            (decoder.inputBias, decoder.outputBias) = (common.attentionBias ?? true, common.attentionBias ?? true)
            let sliding = try common.slidingLayers() ?? decoder.layers.indices.map { $0 % 2 == 0 }
            for layer in decoder.layers.indices where sliding[layer] {
                decoder.layers[layer].window = common.slidingWindow
            }
            let sizes = try ExpertSizes(
                count: (Keys.CodingKeys.experts.rawValue, keys.experts),
                chosen: (Keys.CodingKeys.chosen.rawValue, keys.chosen),
                width: (DecoderConfiguration.CodingKeys.intermediateSize.rawValue, common.intermediateSize))
            let gate = GateFunction.clamped(alpha: Float(keys.alpha ?? 1.702), limit: Float(keys.limit ?? 7))
            decoder.makeAttention = { [decoder] (layer: Int, path: String, loader: WeightLoader) throws(ModelError) in
                let usual = try decoder.attention(layer, path, loader)
                let sinks = try loader.vector(path + ".self_attn.sinks", count: decoder.heads)
                return SelfAttention(
                    input: usual.input, output: usual.output, options: usual.options, sinks: sinks, layer: layer)
            }
            decoder.makeFeedForward = { [decoder] (layer: Int, path: String, loader: WeightLoader) throws(ModelError) in
                let (gateUp, down) = try loader.fusedExperts(
                    path + ".mlp.experts", sizes, hidden: decoder.hiddenSize, orientation: .inputsByOutputs,
                    hasBias: true,
                    isMarkedTransposed: true)
                return MixtureOfExperts(
                    router: try loader.router(
                        path + ".mlp.router", experts: sizes.count, hidden: decoder.hiddenSize, bias: true),
                    routing: RoutingOptions(experts: sizes.count, chosen: sizes.chosen, scoring: .softmaxOverChosen),
                    gateUp: gateUp, down: down, function: gate, isInterleaved: true, layer: layer)
            }
            return decoder
        }
    }
}
