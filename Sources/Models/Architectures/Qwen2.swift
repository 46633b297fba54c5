public import Checkpoints
public import Foundation
public import TensorCore

/// Qwen2 and Qwen2.5: a Llama with biases in the projections to queries, keys and values, and a window that is mostly
/// not used.
public enum Qwen2: ModelArchitecture {
    /// `qwen2`
    public static let modelTypes = ["qwen2"]
    /// `qwen2`
    public static let ggufArchitectures = ["qwen2"]

    /// What transformers takes for keys that are left out.
    private static var defaults: [String: Any] {
        [
            "num_key_value_heads": 32, "max_position_embeddings": 32_768, "rms_norm_eps": 1e-6, "sliding_window": 4096,
            "max_window_layers": 28,
        ]
    }

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let configuration = try ConfigurationFile.completed(configuration, with: defaults, place: place)
        let window = try ConfigurationFile.decode(OptionalWindow.self, from: configuration, place: place)
        let common = try DecoderConfiguration.read(configuration, place: place)
        return try makeDecoder(tensors: tensors, place: place, on: compute) { () throws(ConfigurationProblem) in
            var decoder = try DecoderDescription(common)
            (decoder.inputBias, decoder.outputBias) = (true, false)
            for (layer, window) in try window.windows(common).enumerated() {
                decoder.layers[layer].window = window
            }
            return decoder
        }
    }

    /// Describes a GGUF file; see ``ModelArchitecture``.
    public static func translate(_ file: GGUFFile) throws(ModelError) -> GGUFTranslation {
        let decoder = try GGUFDecoder(file)
        return try decoder.translation(
            try decoder.configuration(modelType: "qwen2", class: "Qwen2ForCausalLM"),
            modules: GGUFModule.norms + GGUFModule.attention + GGUFModule.mlp)
    }
}
