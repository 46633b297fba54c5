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

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let window = try ConfigurationFile.decode(OptionalWindow.self, from: configuration, place: place)
        let configuration = try DecoderConfiguration.read(configuration, place: place)
        return try makeDecoder(tensors: tensors, place: place, on: compute) { () throws(ConfigurationProblem) in
            var decoder = try DecoderDescription(configuration)
            (decoder.inputBias, decoder.outputBias) = (true, false)
            for (layer, window) in try window.windows(configuration).enumerated() {
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
