import Checkpoints
import Foundation
import Models
import Tokenization

extension Inspection {
    /// A Hugging Face folder. One whose architecture this program cannot read is described too: the configuration's key
    /// names are the field's.
    static func model(_ path: String) throws -> JSONObject {
        let folder = URL(fileURLWithPath: path, isDirectory: true)
        let place = folder.appendingPathComponent("config.json")
        guard let data = try RegularFile.contentsIfAny(place) else {
            throw BaseModelError.notAModel(path: path, reason: "there is no readable config.json")
        }
        let configuration = try BaseModel.parse(data, place.path)
        let tensors = try ShardedSafetensors(folder: folder)
        let (tokenizer, template, _) = try BaseModel.readTokenizer(folder)
        return network(configuration)
            .followed(by: try TensorCensus(tensors).facts)
            .followed(by: tied(!tensors.contains("lm_head.weight")))
            .followed(by: text(tokenizer, template))
    }

    static func gguf(_ path: String) throws -> JSONObject {
        let file = try GGUFFile(path: path)
        let census = TensorCensus(file).facts.followed(by: tied(!file.contains("output.weight")))
        let (tokenizer, template) = try BaseModel.readTokenizer(file)
        let name = try file.string("general.architecture", default: "")
        guard let family = try? ModelRegistry.architecture(gguf: name, place: path) else {
            return JSONObject([("architecture", .string(name)), ("supported", .bool(false))])
                .followed(by: census).followed(by: text(tokenizer, template))
        }
        let configuration = try BaseModel.parse(try family.translate(file).configuration, path)
        return network(configuration).followed(by: census).followed(by: text(tokenizer, template))
    }

    static func safetensors(_ path: String) throws -> JSONObject {
        let file = try SafetensorsFile(path: path)
        let metadata = file.metadata.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.string($0.value)) }
        return try TensorCensus(file).facts.followed(by: ["metadata": .object(JSONObject(metadata))])
    }

    /// Sizes of the network by a `config.json`.
    private static func network(_ configuration: JSONValue) -> JSONObject {
        let name = configuration["model_type"]?.stringValue ?? ""
        let isKnown = ModelRegistry.architectures.contains { $0.modelTypes.contains(name) }
        func size(_ key: String) -> JSONValue {
            let value = configuration[key] ?? configuration["text_config"]?[key]
            return value?.intValue.map { .integer($0) } ?? .null
        }
        return [
            "architecture": .string(name), "supported": .bool(isKnown), "layers": size("num_hidden_layers"),
            "hidden_size": size("hidden_size"), "heads": size("num_attention_heads"),
            "key_value_heads": size("num_key_value_heads"), "context_length": size("max_position_embeddings"),
            "vocabulary": size("vocab_size"),
        ]
    }

    private static func tied(_ isTied: Bool) -> JSONObject { ["tied_head": .bool(isTied)] }

    private static func text(_ tokenizer: Tokenizer?, _ template: ChatTemplate?) -> JSONObject {
        [
            "tokenizer": .bool(tokenizer != nil),
            "tokenizer_vocabulary": tokenizer.map { .integer($0.vocabularySize) } ?? .null,
            "chat_template": .bool(template != nil),
        ]
    }
}
