public import Checkpoints
public import Foundation
public import Models
public import TensorCore
public import Tokenization

/// A base model opened from a Hugging Face folder or a GGUF file: configuration, tensors, tokenizer and template
/// together, whichever it was.
public struct BaseModel: Sendable {
    /// The folder or file.
    public internal(set) var path: String
    /// Contents of `config.json`, or what it would be for a GGUF file.
    public let configuration: Data
    /// The weights under their Hugging Face names.
    public internal(set) var tensors: any TensorSource
    /// Text ↔ ids; `nil` where the model has no tokenizer.
    public let tokenizer: Tokenizer?
    /// The chat template: the model's own, if it has one, or another in its place; see ``with(template:)``.
    public internal(set) var template: ChatTemplate?
    /// Ids that end an answer.
    public internal(set) var stopTokens: Set<TokenID>
    /// Makes what ``companions()`` returns; for a GGUF file that takes a while, and not everyone needs it.
    var makeCompanions: @Sendable () throws -> [String: Data]
    /// The architecture, by `model_type`.
    public let modelType: String
    /// The files that hold the weights.
    public let weightFiles: [URL]
    /// How it was packed into 4 bits on the way in; `nil` if the weights are used as they lie.
    public internal(set) var packing: Packing?
    /// The digest of what it was packed from, with how; `nil` if it was not.
    var packedDigest: String?

    /// Opens a model; weights are mapped, not read.
    /// - Throws: ``BaseModelError``, `ModelError`, `CheckpointError`.
    public static func open(_ path: String) throws -> BaseModel {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw BaseModelError.nothing(at: path)
        }
        if isFolder.boolValue { return try openFolder(path).endingTurns() }
        do { return try openGGUF(path).endingTurns() } catch where path.hasSuffix(".safetensors") {
            throw BaseModelError.notAModel(path: path, reason: "this file holds only weights; give the folder that it lies in")
        }
    }

    /// The model's name for files that leave the machine: as the hub calls it, for a folder of a download cache
    /// (`models--OWNER--NAME/snapshots/REVISION`); else the last component of the path, without the ending of a GGUF file.
    public var name: String {
        let url = URL(fileURLWithPath: path).standardizedFileURL
        let parts = url.pathComponents
        if let at = parts.lastIndex(of: "snapshots"), at > 0, parts[at - 1].hasPrefix("models--") {
            // Files there are links to others that are named by their digests.
            if parts.count > at + 2 { return Self.withoutEnding(url) }
            return parts[at - 1].dropFirst("models--".count).replacingOccurrences(of: "--", with: "/")
        }
        return Self.withoutEnding(URL(fileURLWithPath: path).resolvingSymlinksInPath())
    }

    /// Names of folders have points, too: `Llama-3.2-1B`.
    private static func withoutEnding(_ url: URL) -> String {
        (url.pathExtension.lowercased() == "gguf" ? url.deletingPathExtension() : url).lastPathComponent
    }

    /// How many ids the configuration speaks of, for checks before the weights are opened; `nil` if it does not say.
    public var vocabularySize: Int? { size("vocab_size") }

    /// How many tokens the model was made for; `nil` if its configuration does not say.
    public var contextLength: Int? { size("max_position_embeddings") }

    private func size(_ key: String) -> Int? {
        guard let configuration = try? JSONValue(parsing: configuration) else { return nil }
        return (configuration[key] ?? configuration["text_config"]?[key])?.intValue
    }

    /// Builds the network; weights stay where they lie.
    public func makeModel(on compute: Compute) throws -> any CausalLanguageModel {
        let architecture = try ModelRegistry.architecture(modelType: modelType, place: path)
        return try architecture.makeModel(configuration: configuration, tensors: tensors, place: path, on: compute)
    }

    /// A sentence on a tokenizer with ids that the model has no embedding for, as models without the parts that see or hear
    /// have them: text that holds one is refused where it is used. `nil` if there are none.
    public func remark(on model: any CausalLanguageModel) -> String? {
        guard let size = tokenizer?.vocabularySize, size > model.vocabularySize else { return nil }
        return "\(path): the tokenizer has \(size) ids, but the model only \(model.vocabularySize) embeddings; text with the others cannot be used"
    }

    /// The tokenizer, where text cannot be done without.
    public func requireTokenizer() throws -> Tokenizer {
        guard let tokenizer else { throw BaseModelError.noTokenizer(path: path) }
        return tokenizer
    }

    /// The template, where a chat cannot be done without.
    public func requireTemplate() throws -> ChatTemplate {
        guard let template else { throw BaseModelError.noTemplate(path: path) }
        return template
    }

    /// What templates may read besides the messages: the texts of the special tokens.
    public var templateVariables: JSONObject {
        var variables = JSONObject()
        guard let special = tokenizer?.specialTokens else { return variables }
        for (name, token) in [
            ("bos_token", special.bos), ("eos_token", special.eos), ("pad_token", special.pad), ("unk_token", special.unk),
        ] {
            if let token { variables[name] = .string(token.text) }
        }
        return variables
    }

    /// Files that belong to the tokenizer and to generation, by name: what a merged model or adapter carries along.
    public func companions() throws -> [String: Data] { try makeCompanions() }

    /// Digest of configuration and weights; large files are sampled (see `FileDigest.fingerprint`).
    public func fingerprint() throws -> String {
        if let packedDigest { return packedDigest }
        let parts = try weightFiles.map { try FileDigest.fingerprint(of: $0).hex }
        return FileDigest.sha256(of: configuration + Data(parts.joined().utf8)).hex
    }

    /// Digest of everything that turns text into ids.
    public func tokenizerFingerprint() throws -> String {
        let parts = try companions().sorted { $0.key < $1.key }.map { $0.key + FileDigest.sha256(of: $0.value).hex }
        return FileDigest.sha256(of: Data(parts.joined().utf8)).hex
    }
}
