import Checkpoints
import Foundation
import TensorCore

/// A GGUF file that holds a decoder: its metadata, what all decoders' metadata say, and names of tensors.
struct GGUFDecoder {
    let file: GGUFFile
    /// `general.architecture`, which all keys begin with.
    let architecture: String

    init(_ file: GGUFFile) throws(ModelError) {
        self.file = file
        do { architecture = try file.string("general.architecture") } catch { throw .checkpoint(error) }
    }

    // MARK: Metadata

    func has(_ key: String) -> Bool { file.has("\(architecture).\(key)") }

    func integer(_ key: String, default fallback: Int? = nil) throws(ModelError) -> Int {
        if let fallback, !has(key) { return fallback }
        return try reporting { () throws(CheckpointError) in try file.integer("\(architecture).\(key)") }
    }

    func number(_ key: String, default fallback: Double? = nil) throws(ModelError) -> Double {
        if let fallback, !has(key) { return fallback }
        return try reporting { () throws(CheckpointError) in try file.number("\(architecture).\(key)") }
    }

    func string(_ key: String, default fallback: String? = nil) throws(ModelError) -> String {
        if let fallback, !has(key) { return fallback }
        return try reporting { () throws(CheckpointError) in try file.string("\(architecture).\(key)") }
    }

    func flag(_ key: String, default fallback: Bool) throws(ModelError) -> Bool {
        try reporting { () throws(CheckpointError) in
            try file.bool("\(architecture).\(key)", default: fallback)
        }
    }

    /// All numbers of a tensor.
    func floats(_ name: String) throws(ModelError) -> [Float] {
        try reporting { () throws(CheckpointError) in try file.tensor(name) }.expandAll()
    }

    func problem(_ reason: String) -> ModelError { .configuration(place: file.path, reason: reason) }

    func reporting<T>(_ body: () throws(CheckpointError) -> T) throws(ModelError) -> T {
        do { return try body() } catch { throw .checkpoint(error) }
    }

    /// Width of a head.
    func headSize() throws(ModelError) -> Int {
        let (heads, hidden) = (try integer("attention.head_count"), try integer("embedding_length"))
        guard heads > 0 else {
            throw problem("\(architecture).attention.head_count is \(heads), expected a number above 0")
        }
        let size = try integer("attention.key_length", default: hidden / heads)
        guard size > 0, size % 2 == 0 else {
            throw problem("the head size is \(size), expected an even number above 0")
        }
        guard try integer("attention.value_length", default: size) == size else {
            throw problem(
                "\(architecture).attention.value_length differs from key_length, which this architecture does not allow"
            )
        }
        return size
    }

    func layerCount() throws(ModelError) -> Int {
        let layers = try integer("block_count")
        guard layers > 0, layers <= file.tensors.count else {
            throw problem("\(architecture).block_count is \(layers), but the file has \(file.tensors.count) tensors")
        }
        return layers
    }

    // MARK: config.json

    /// What `config.json` of a decoder says, as far as all architectures' metadata agree.
    /// - Parameter headSize: where the keys about it mean something else; nil reads them.
    func configuration(
        modelType: String, class name: String, headSize given: Int? = nil
    ) throws(ModelError) -> [String: Any] {
        let embedding = try reporting { () throws(CheckpointError) in try file.info("token_embd.weight") }
        let heads = try integer("attention.head_count")
        let size = if let given { given } else { try headSize() }
        // As the decimal number that was meant, not as the double nearest to the stored float.
        let epsilon = NSDecimalNumber(string: "\(Float(try number("attention.layer_norm_rms_epsilon")))")
        var object: [String: Any] = [
            "architectures": [name], "model_type": modelType, "hidden_act": "silu",
            "vocab_size": embedding.shape.first ?? 0, "hidden_size": try integer("embedding_length"),
            "intermediate_size": try integer("feed_forward_length"), "num_hidden_layers": try layerCount(),
            "num_attention_heads": heads, "num_key_value_heads": try integer("attention.head_count_kv", default: heads),
            "head_dim": size, "max_position_embeddings": try integer("context_length", default: 2048),
            "rms_norm_eps": epsilon, "rope_theta": try number("rope.freq_base", default: 10_000),
            "tie_word_embeddings": !file.contains("output.weight"), "torch_dtype": "bfloat16",
        ]
        let rotated = try integer("rope.dimension_count", default: size)
        if rotated != size { object["partial_rotary_factor"] = Double(rotated) / Double(size) }
        if let scaling = try ropeScaling() { object["rope_scaling"] = scaling }
        for (key, name) in [("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")] {
            let stored = "tokenizer.ggml.\(name)_token_id"
            guard file.has(stored) else { continue }
            object[key] = try reporting { () throws(CheckpointError) in try file.integer(stored) }
        }
        return object
    }

    /// The rotary scaling that the metadata describe.
    private func ropeScaling() throws(ModelError) -> [String: Any]? {
        let type = try string("rope.scaling.type", default: "none")
        switch type {
        // The tables of longrope are tensors, which its architectures read.
        case "none", "longrope": return nil
        case "linear": return ["rope_type": "linear", "factor": try number("rope.scaling.factor")]
        case "yarn":
            var object: [String: Any] = ["rope_type": "yarn", "factor": try number("rope.scaling.factor")]
            for (key, name) in [
                ("original_max_position_embeddings", "original_context_length"), ("beta_fast", "yarn_beta_fast"),
                ("beta_slow", "yarn_beta_slow"),
            ] where has("rope.scaling." + name) {
                object[key] = try number("rope.scaling." + name)
            }
            return object
        default:
            throw problem("\(architecture).rope.scaling.type is \(type); supported are none, linear, yarn and longrope")
        }
    }
}
