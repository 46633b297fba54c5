public import Checkpoints
public import Foundation
public import TensorCore

/// Llama 2, 3 and what shares their network: RMSNorm, grouped-query attention, rotary embedding, SwiGLU.
public enum Llama: ModelArchitecture {
    /// `llama`
    public static let modelTypes = ["llama"]
    /// `llama`
    public static let ggufArchitectures = ["llama"]

    /// What transformers takes for keys that are left out.
    private static var defaults: [String: Any] {
        [
            "rms_norm_eps": 1e-6, "max_position_embeddings": 2048,
        ]
    }

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let configuration = try ConfigurationFile.completed(configuration, with: defaults, place: place)
        let common = try DecoderConfiguration.read(configuration, place: place)
        return try makeDecoder(tensors: tensors, place: place, on: compute) { () throws(ConfigurationProblem) in
            try DecoderDescription(common)
        }
    }

    /// Describes a GGUF file; see ``ModelArchitecture``.
    public static func translate(_ file: GGUFFile) throws(ModelError) -> GGUFTranslation {
        try LlamaGGUF(file).translation()
    }
}
