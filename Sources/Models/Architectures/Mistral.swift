public import Checkpoints
public import Foundation
public import TensorCore

/// Mistral: a Llama in which all layers look back through a window, if the configuration has one.
///
/// GGUF files of Mistral models say that they are of the llama architecture, and are read there.
public enum Mistral: ModelArchitecture {
    /// `mistral`
    public static let modelTypes = ["mistral"]

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let window = try ConfigurationFile.decode(MistralWindow.self, from: configuration, place: place).size
        let configuration = try DecoderConfiguration.read(configuration, place: place)
        return try makeDecoder(tensors: tensors, place: place, on: compute) { () throws(ConfigurationProblem) in
            var decoder = try DecoderDescription(configuration)
            let sliding = try configuration.slidingLayers()
            for layer in decoder.layers.indices where sliding?[layer] ?? true {
                decoder.layers[layer].window = window
            }
            return decoder
        }
    }
}

/// `sliding_window`; where there is no such key the first models' 4096 is meant, and null means none.
private struct MistralWindow: Decodable {
    let size: Int?

    enum CodingKeys: String, CodingKey { case slidingWindow = "sliding_window" }

    init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        size = keys.contains(.slidingWindow) ? try keys.decodeIfPresent(Int.self, forKey: .slidingWindow) : 4096
    }
}
