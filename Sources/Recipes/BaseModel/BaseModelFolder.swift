import Checkpoints
public import Foundation
import Models
public import Tokenization

extension BaseModel {
    /// Names of files that go with the weights wherever they go.
    static let companionNames = [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
        "generation_config.json", "vocab.json", "merges.txt", "tokenizer.model",
    ]

    static func openFolder(_ path: String) throws -> BaseModel {
        let folder = URL(fileURLWithPath: path, isDirectory: true)
        let configurationFile = folder.appendingPathComponent("config.json")
        guard let configuration = try RegularFile.contentsIfAny(configurationFile) else {
            let files = ModelPath(path).filesInside
            if !files.isEmpty { throw BaseModelError.holdsModels(path: path, files: files) }
            throw BaseModelError.notAModel(path: path, reason: "there is no readable config.json")
        }
        let object = try parse(configuration, configurationFile.path)
        guard let modelType = object["model_type"]?.stringValue else {
            throw BaseModelError.notAModel(path: configurationFile.path, reason: "the key model_type is missing or no text")
        }
        // Before the weights: an architecture that cannot be read is the more useful message.
        _ = try ModelRegistry.architecture(modelType: modelType, place: configurationFile.path)
        try refuseUnknownQuantization(object, configurationFile.path)
        try refuseOtherWeights(folder, path)
        let files = try ShardedSafetensors(folder: folder)
        let (tokenizer, template, companions) = try readTokenizer(folder)
        return BaseModel(
            path: path, configuration: configuration,
            tensors: source(of: files), tokenizer: tokenizer,
            template: template, stopTokens: stopTokens(object, companions["generation_config.json"], tokenizer),
            makeCompanions: { companions }, modelType: modelType, weightFiles: files.files.map { URL(fileURLWithPath: $0.path) })
    }

    /// The tensors of files that may hold packed ones.
    private static func source(of files: ShardedSafetensors) -> any TensorSource {
        if BitsandbytesTensors.isPacked(files) { return BitsandbytesTensors(files) }
        return MicroscaledTensors.isPacked(files) ? MicroscaledTensors(files) : files
    }

    /// Weights in PyTorch's own files are pickled programs, which this program does not run.
    private static func refuseOtherWeights(_ folder: URL, _ path: String) throws {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).sorted()
        guard !names.contains(where: { $0.hasPrefix("model.safetensors") }),
            let other = names.first(where: { $0.hasPrefix("pytorch_model") || $0.hasSuffix(".pth") })
        else { return }
        throw BaseModelError.notAModel(
            path: path, reason: "its weights are in \(other), which this program does not read (save_pretrained in transformers writes safetensors)")
    }

    /// Weights that another tool has quantised in a way that this program cannot read would only look like damage.
    private static func refuseUnknownQuantization(_ configuration: JSONValue, _ place: String) throws {
        guard let settings = configuration["quantization_config"], let method = settings["quant_method"]?.stringValue,
            !["bitsandbytes", "mxfp4"].contains(method)
        else { return }
        throw BaseModelError.notAModel(
            path: place, reason: "its weights are quantised by \(method), which this program cannot read; supported are bitsandbytes (nf4, fp4) and mxfp4")
    }

    /// The tokenizer files of a folder, which may lack everything else.
    /// - Returns: `nil` for tokenizer and template where there is none.
    public static func readTokenizer(
        _ folder: URL
    ) throws -> (tokenizer: Tokenizer?, template: ChatTemplate?, companions: [String: Data]) {
        var files: [String: Data] = [:]
        for name in companionNames { files[name] = try RegularFile.contentsIfAny(folder.appendingPathComponent(name)) }
        guard let tokenizerFile = files["tokenizer.json"] else { return (nil, nil, files) }
        let place = folder.appendingPathComponent("tokenizer.json").path
        let configuration = try files["tokenizer_config.json"].map {
            try parse($0, folder.appendingPathComponent("tokenizer_config.json").path)
        }
        let tokenizer: Tokenizer
        do {
            tokenizer = try Tokenizer(tokenizerJSON: try parse(tokenizerFile, place), configuration: configuration)
        } catch let error as TokenizationError {
            throw BaseModelError.tokenizer(place: place, reason: "\(error)")
        }
        let templateFile = folder.appendingPathComponent("chat_template.jinja").path
        let source = try files["chat_template.jinja"].map { try templateText($0, templateFile) } ?? tokenizer.chatTemplate
        return (tokenizer, try template(source, folder.path), files)
    }

    /// Bytes that are no UTF-8 would be replaced without a word, and the model trained on the replacement.
    static func templateText(_ data: Data, _ place: String) throws -> String {
        guard let text = String(validating: data, as: UTF8.self) else {
            throw BaseModelError.template(place: place, reason: "it is no UTF-8 text; save it as UTF-8")
        }
        return text
    }

    static func template(_ source: String?, _ place: String) throws -> ChatTemplate? {
        do { return try source.map { try ChatTemplate($0) } } catch {
            throw BaseModelError.template(place: place, reason: "\(error)")
        }
    }

    static func parse(_ data: Data, _ place: String) throws -> JSONValue {
        if GitPointer.isOne(data) { throw BaseModelError.tokenizer(place: place, reason: GitPointer.sentence) }
        do { return try JSONValue(parsing: data) } catch {
            throw BaseModelError.tokenizer(place: place, reason: "not valid JSON: \(error); is the file complete?")
        }
    }

    /// `eos_token_id` of generation_config.json and config.json (a number or a list) and the tokenizer's own.
    private static func stopTokens(_ configuration: JSONValue, _ generation: Data?, _ tokenizer: Tokenizer?) -> Set<TokenID> {
        func ids(_ value: JSONValue?) -> [TokenID] {
            (value?.arrayValue ?? [value].compactMap { $0 }).compactMap { $0.intValue.flatMap(TokenID.init(exactly:)) }
        }
        let fromGeneration = generation.flatMap { try? JSONValue(parsing: $0) }?["eos_token_id"]
        return Set(ids(configuration["eos_token_id"]) + ids(fromGeneration)).union(tokenizer?.specialTokens.stop ?? [])
    }
}
