public import Checkpoints
public import Foundation
public import TensorCore

/// SmolLM3: a Llama in which every fourth layer has no positions.
public enum SmolLM3: ModelArchitecture {
    /// `smollm3`
    public static let modelTypes = ["smollm3"]
    /// `smollm3`
    public static let ggufArchitectures = ["smollm3"]

    /// What transformers takes for keys that are left out.
    private static var defaults: [String: Any] {
        [
            "num_key_value_heads": 4, "max_position_embeddings": 32_768, "rms_norm_eps": 1e-6, "rope_theta": 2e6,
            "tie_word_embeddings": true,
        ]
    }

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let configuration = try ConfigurationFile.completed(configuration, with: defaults, place: place)
        let own = try ConfigurationFile.decode(SmolLM3Configuration.self, from: configuration, place: place)
        let window = try ConfigurationFile.decode(OptionalWindow.self, from: configuration, place: place)
        let common = try DecoderConfiguration.read(configuration, place: place)
        return try makeDecoder(tensors: tensors, place: place, on: compute) { () throws(ConfigurationProblem) in
            var decoder = try DecoderDescription(common)
            let rotated = try own.rotatedLayers(common.numHiddenLayers)
            let sliding = try common.slidingLayers()
            for layer in decoder.layers.indices {
                if !rotated[layer] { decoder.layers[layer].rotary = nil }
                // `use_sliding_window` only decides what stands in for a missing list.
                if sliding?[layer] ?? ((window.useSlidingWindow ?? false) && !rotated[layer]) {
                    decoder.layers[layer].window = common.slidingWindow
                }
            }
            return decoder
        }
    }

    /// Describes a GGUF file; see ``ModelArchitecture``. Which layers have no positions is not in the file.
    public static func translate(_ file: GGUFFile) throws(ModelError) -> GGUFTranslation {
        let decoder = try GGUFDecoder(file)
        var configuration = try decoder.configuration(modelType: "smollm3", class: "SmolLM3ForCausalLM")
        configuration["no_rope_layer_interval"] = 4
        let headSize = try decoder.headSize()
        let attention = GGUFModule.attention.map { module in
            ["attn_q", "attn_k"].contains(module.stored)
                ? module.ordered(.interleavedHalves(headSize: headSize)) : module
        }
        return try decoder.translation(configuration, modules: GGUFModule.norms + attention + GGUFModule.mlp)
    }
}

/// The keys of `config.json` that only SmolLM3 has.
private struct SmolLM3Configuration: Decodable {
    /// 1 for a layer with positions, 0 for one without.
    var noRopeLayers: [Int]?
    var noRopeLayerInterval: Int?

    enum CodingKeys: String, CodingKey {
        case noRopeLayers = "no_rope_layers"
        case noRopeLayerInterval = "no_rope_layer_interval"
    }

    func rotatedLayers(_ count: Int) throws(ConfigurationProblem) -> [Bool] {
        if let noRopeLayers {
            guard noRopeLayers.count == count else {
                throw ConfigurationProblem(
                    "no_rope_layers has \(noRopeLayers.count) entries, expected num_hidden_layers (\(count))")
            }
            return noRopeLayers.map { $0 != 0 }
        }
        let interval = noRopeLayerInterval ?? 4
        guard interval > 0 else {
            throw ConfigurationProblem("no_rope_layer_interval is \(interval), expected a number above 0")
        }
        return (1...count).map { $0 % interval != 0 }
    }
}
