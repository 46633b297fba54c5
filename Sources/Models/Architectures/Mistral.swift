public import Checkpoints
public import Foundation
public import TensorCore

/// Mistral: a Llama in which all layers look back through a window, if the configuration has one.
///
/// GGUF files of Mistral models say that they are of the llama architecture, and are read there.
public enum Mistral: ModelArchitecture {
    /// `mistral`
    public static let modelTypes = ["mistral"]

    /// What transformers takes for keys that are left out.
    private static var defaults: [String: Any] {
        [
            "num_key_value_heads": 8, "max_position_embeddings": 131_072, "rms_norm_eps": 1e-6, "sliding_window": 4096,
        ]
    }

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let configuration = try ConfigurationFile.completed(configuration, with: defaults, place: place)
        let common = try DecoderConfiguration.read(configuration, place: place)
        return try makeDecoder(tensors: tensors, place: place, on: compute) { () throws(ConfigurationProblem) in
            var decoder = try DecoderDescription(common)
            let sliding = try common.slidingLayers()
            for layer in decoder.layers.indices where sliding?[layer] ?? true {
                decoder.layers[layer].window = common.slidingWindow
            }
            return decoder
        }
    }
}
