public import Checkpoints
public import Foundation
public import TensorCore

/// Qwen3: a Llama whose query and key heads are normed, with heads of any width.
public enum Qwen3: ModelArchitecture {
    /// `qwen3`
    public static let modelTypes = ["qwen3"]
    /// `qwen3`
    public static let ggufArchitectures = ["qwen3"]

    /// What transformers takes for keys that are left out.
    private static var defaults: [String: Any] {
        [
            "num_key_value_heads": 32, "head_dim": 128, "max_position_embeddings": 32_768, "rms_norm_eps": 1e-6,
            "sliding_window": 4096, "max_window_layers": 28,
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
            decoder.hasHeadNorms = true
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
            try decoder.configuration(modelType: "qwen3", class: "Qwen3ForCausalLM"),
            modules: GGUFModule.norms + GGUFModule.attention + GGUFModule.headNorms + GGUFModule.mlp)
    }
}
