public import Checkpoints
public import Foundation
public import TensorCore

/// Phi-3 and Phi-4: a Llama with one projection to queries, keys and values and one to gate and up, heads that may be
/// rotated in part, LongRoPE, and perhaps a window.
public enum Phi3: ModelArchitecture {
    /// `phi3`
    public static let modelTypes = ["phi3"]
    /// `phi3`
    public static let ggufArchitectures = ["phi3"]

    /// What transformers takes for keys that are left out.
    private static var defaults: [String: Any] {
        [
            "max_position_embeddings": 4096, "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
        ]
    }

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let configuration = try ConfigurationFile.completed(configuration, with: defaults, place: place)
        var c = try DecoderConfiguration.read(configuration, place: place)
        c.ropeScaling = c.ropeScaling.map(modern)
        c.ropeParameters = c.ropeParameters.map(modern)
        return try makeDecoder(tensors: tensors, place: place, on: compute) { [c] () throws(ConfigurationProblem) in
            var decoder = try DecoderDescription(c)
            decoder.isFused = true
            (decoder.inputBias, decoder.outputBias, decoder.mlpBias) = (false, false, false)
            for layer in decoder.layers.indices { decoder.layers[layer].window = c.slidingWindow }
            return decoder
        }
    }

    /// The first checkpoints called LongRoPE by other names.
    private static func modern(_ parameters: RotaryParameters) -> RotaryParameters {
        var parameters = parameters
        let type = parameters.ropeType ?? parameters.type
        parameters.ropeType = type == "su" || type == "yarn" ? "longrope" : type
        return parameters
    }

    /// Describes a GGUF file; see ``ModelArchitecture``.
    public static func translate(_ file: GGUFFile) throws(ModelError) -> GGUFTranslation {
        try Phi3GGUF(file).translation()
    }
}
