public import Checkpoints
public import Foundation
public import TensorCore

/// A family of models: how its configuration is read and its network built. One file in `Architectures/` each.
public protocol ModelArchitecture: SendableMetatype {
    /// Values of `model_type` in `config.json` that this family reads.
    static var modelTypes: [String] { get }
    /// Values of `general.architecture` in GGUF files that this family reads.
    static var ggufArchitectures: [String] { get }

    /// Builds the model over a checkpoint; weights stay where they lie.
    /// - Parameters:
    ///   - configuration: contents of `config.json`.
    ///   - tensors: the weights under their Hugging Face names.
    ///   - place: the model's path, for errors.
    static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel

    /// Describes a GGUF file as a Hugging Face checkpoint: `config.json` as an object, and its tensors' names.
    static func translate(_ file: GGUFFile) throws(ModelError) -> GGUFTranslation
}

extension ModelArchitecture {
    /// None: what a family without GGUF files says.
    public static var ggufArchitectures: [String] { [] }

    /// Refuses: what a family without GGUF files does.
    public static func translate(_ file: GGUFFile) throws(ModelError) -> GGUFTranslation {
        throw .configuration(
            place: file.path, reason: "files of the family \(modelTypes.joined(separator: ", ")) are not read from GGUF")
    }
}

/// The families that this program knows.
public enum ModelRegistry {
    /// All of them. A test compares this list with the files in `Architectures/`.
    public static let architectures: [any ModelArchitecture.Type] = [
        Llama.self, Mistral.self, Qwen2.self, Qwen3.self, Gemma3.self, Phi3.self, SmolLM3.self,
        Mixtral.self, Qwen3MoE.self, DeepseekV3.self, Llama4.self, GPTOSS.self,
    ]

    /// The family that reads a `model_type`.
    public static func architecture(modelType: String, place: String) throws(ModelError) -> any ModelArchitecture.Type {
        guard let found = architectures.first(where: { $0.modelTypes.contains(modelType) }) else {
            throw .unknownArchitecture(
                place: place, found: modelType, known: architectures.flatMap { $0.modelTypes })
        }
        return found
    }

    /// The family that reads a GGUF `general.architecture`.
    public static func architecture(gguf name: String, place: String) throws(ModelError) -> any ModelArchitecture.Type {
        guard let found = architectures.first(where: { $0.ggufArchitectures.contains(name) }) else {
            throw .unknownArchitecture(
                place: place, found: name, known: architectures.flatMap { $0.ggufArchitectures })
        }
        return found
    }
}
