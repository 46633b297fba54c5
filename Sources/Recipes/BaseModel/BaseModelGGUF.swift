public import Checkpoints
import Foundation
import Models
public import Tokenization

extension BaseModel {
    static func openGGUF(_ path: String) throws -> BaseModel {
        let file = try GGUFFile(path: path)
        let name = try file.string("general.architecture")
        let architecture = try ModelRegistry.architecture(gguf: name, place: path)
        let translation = try architecture.translate(file)
        let (tokenizer, template) = try readTokenizer(file)
        return BaseModel(
            path: path, configuration: translation.configuration, tensors: GGUFTensorSource(file, translation),
            tokenizer: tokenizer, template: template, stopTokens: tokenizer?.specialTokens.stop ?? [],
            makeCompanions: { try companions(tokenizer, template) }, modelType: translation.modelType,
            weightFiles: [URL(fileURLWithPath: path)])
    }

    /// Tokenizer and template from the metadata of a GGUF file; `nil` where there are none.
    public static func readTokenizer(_ file: GGUFFile) throws -> (tokenizer: Tokenizer?, template: ChatTemplate?) {
        guard file.has("tokenizer.ggml.tokens") else { return (nil, nil) }
        func id(_ key: String) throws -> TokenID? {
            let key = "tokenizer.ggml.\(key)_token_id"
            return file.has(key) ? TokenID(exactly: try file.integer(key)) : nil
        }
        func flag(_ key: String) throws -> Bool? { file.has(key) ? try file.bool(key) : nil }
        let template = file.has("tokenizer.chat_template") ? try file.string("tokenizer.chat_template") : nil
        let types = "tokenizer.ggml.token_type", merges = "tokenizer.ggml.merges", scores = "tokenizer.ggml.scores"
        let vocabulary = GGUFVocabulary(
            model: try file.string("tokenizer.ggml.model"), pre: try file.string("tokenizer.ggml.pre", default: "default"),
            tokens: try file.stringArray("tokenizer.ggml.tokens"),
            tokenTypes: file.has(types) ? try file.integerArray(types) : [],
            merges: file.has(merges) ? try file.stringArray(merges) : [],
            scores: file.has(scores) ? try file.floatArray(scores) : [], bosID: try id("bos"), eosID: try id("eos"),
            eotID: try id("eot"), unkID: try id("unknown"), padID: try id("padding"),
            addBOS: try flag("tokenizer.ggml.add_bos_token"), addEOS: try flag("tokenizer.ggml.add_eos_token"),
            addSpacePrefix: try flag("tokenizer.ggml.add_space_prefix"),
            chatTemplate: template)
        do {
            return (try Tokenizer(vocabulary: vocabulary), try Self.template(template, file.path))
        } catch let error as TokenizationError {
            throw BaseModelError.tokenizer(place: file.path, reason: "\(error)")
        }
    }

    /// The Hugging Face files that say the same as the metadata.
    private static func companions(_ tokenizer: Tokenizer?, _ template: ChatTemplate?) throws -> [String: Data] {
        guard let tokenizer else { return [:] }
        var files = [
            "tokenizer.json": Data(tokenizer.tokenizerJSON().serialized(pretty: false).utf8),
            "tokenizer_config.json": Data(tokenizer.tokenizerConfigurationJSON().serialized(pretty: true).utf8),
            "generation_config.json": Data(generationConfiguration(tokenizer).serialized(pretty: true).utf8),
        ]
        files["chat_template.jinja"] = template.map { Data($0.source.utf8) }
        return files
    }

    private static func generationConfiguration(_ tokenizer: Tokenizer) -> JSONValue {
        var object = JSONObject()
        if let bos = tokenizer.specialTokens.bos { object["bos_token_id"] = .integer(Int(bos.id)) }
        object["eos_token_id"] = ids(tokenizer.specialTokens.stop)
        if let pad = tokenizer.specialTokens.pad { object["pad_token_id"] = .integer(Int(pad.id)) }
        return .object(object)
    }

    /// Ids that end an answer as `generation_config.json` has them: a number or a list; `nil` if there are none.
    static func ids(_ stops: Set<TokenID>) -> JSONValue? {
        let ids = stops.sorted().map { JSONValue.integer(Int($0)) }
        return ids.count > 1 ? .array(ids) : ids.first
    }
}
