import Foundation
import Testing

/// One way in which a model on disk can be wrong, and what the program must say.
struct Damage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let sentence: [String]
    let apply: @Sendable (Scratch) throws -> Void

    init(_ name: String, says sentence: String..., apply: @escaping @Sendable (Scratch) throws -> Void) {
        self.init(name, sentence, apply: apply)
    }

    static func configuration(_ old: String, _ new: String, says sentence: String...) -> Damage {
        Damage("\(old) → \(new)", sentence) { try $0.replace(old, with: new, in: "m/config.json") }
    }

    private init(_ name: String, _ sentence: [String], apply: @escaping @Sendable (Scratch) throws -> Void) {
        (testDescription, self.sentence, self.apply) = (name, sentence, apply)
    }

    static func truncated(_ file: String, _ count: Int, says sentence: String = "complete") -> Damage {
        Damage("\(file) cut to \(count)", says: file, sentence) { try $0.truncate("m/" + file, to: count) }
    }

    static func header(_ name: String, _ old: String, _ new: String, says sentence: String) -> Damage {
        Damage(name, says: "model.safetensors", sentence) { try $0.replace(old, with: new, in: "m/model.safetensors") }
    }

    static func index(_ text: String, says sentence: String) -> Damage {
        Damage("index \(text)", says: "model.safetensors.index.json", sentence) {
            try $0.remove("m/model.safetensors")
            try $0.write(text, to: "m/model.safetensors.index.json")
        }
    }
}

/// Model files are hostile until checked: every damage ends with one sentence that names the file, and 65.
@Suite struct HostileModelTests {
    private func refuses(_ damage: Damage, model: String, in scratch: Scratch) throws {
        try damage.apply(scratch)
        let result = try Program.eval(scratch.path(model))
        #expect(!result.wasKilled)
        #expect(result.status == 65)
        #expect(result.output.isEmpty)
        #expect(result.errors.split(separator: "\n").count == 1)
        for part in damage.sentence { #expect(result.message.contains(part), "\(result.message)") }
    }

    static let weights: [Damage] = [
        Damage("PyTorch's weights", says: "m: its weights are in pytorch_model.bin, which this program does not read") {
            try FileManager.default.moveItem(atPath: $0.path("m/model.safetensors"), toPath: $0.path("m/pytorch_model.bin"))
        },
        Damage("a template in another encoding", says: "m/chat_template.jinja: the chat template cannot be used: it is no UTF-8 text") {
            try $0.write(Data([0x63, 0x61, 0x66, 0xE9]), to: "m/chat_template.jinja")
        },
        .truncated("model.safetensors", 0), .truncated("model.safetensors", 4), .truncated("model.safetensors", 100),
        .truncated("model.safetensors", 5000), .truncated("model.safetensors", 243_599),
        Damage("huge header", says: "model.safetensors", "header") { scratch in
            var data = try scratch.data("m/model.safetensors")
            data.replaceSubrange(0..<8, with: [0, 0, 0, 0, 0, 0, 0, 0x80])
            try scratch.write(data, to: "m/model.safetensors")
        },
        .header("overlapping data", #""data_offsets":[36864,73728]"#, #""data_offsets":[0    ,36864]"#, says: "data"),
        .header("unknown type", #""BF16""#, #""F128""#, says: "F128"),
        .header("unsuitable type", #""BF16""#, #""I16" "#, says: "I16"),
        .header("wrong size", #""BF16""#, #""F32" "#, says: "73728"),
        Damage("a pointer of git-lfs", says: "m/model.safetensors", "git lfs pull") { try $0.write(pointer, to: "m/model.safetensors") },
        Damage("no weights", says: "m", "neither") { try $0.remove("m/model.safetensors") },
        .index(#"{"weight_map": {"lm_head.weight": "a-00001-of-00002.safetensors"}}"#, says: "missing"),
        .index(#"{"weight_map": {"lm_head.weight": "../m2/a.safetensors"}}"#, says: "../m2/a.safetensors"),
        .index(#"{"weight_map": 3}"#, says: "JSON"), .index(#"{"weight"#, says: "JSON"),
    ]

    @Test(arguments: weights) func damagedWeights(damage: Damage) throws {
        let scratch = try Scratch()
        try scratch.copy(Program.llama, as: "m")
        try refuses(damage, model: "m", in: scratch)
    }

    static let configurations: [Damage] = [
        .truncated("config.json", 200), .truncated("config.json", 0),
        Damage("no JSON", says: "config.json", "JSON") { try $0.write("hello", to: "m/config.json") },
        Damage("a list", says: "config.json", "model_type") { try $0.write("[]", to: "m/config.json") },
        Damage("no config.json", says: "config.json") { try $0.remove("m/config.json") },
        .configuration(#""llama""#, #""rwkv""#, says: "config.json", "rwkv", "llama"),
        .configuration(#""llama""#, "3", says: "config.json", "model_type"),
        .configuration(#""hidden_size": 64"#, #""hidden_size": "64""#, says: "hidden_size"),
        .configuration(#""hidden_size": 64"#, #""hidden_size": 0"#, says: "hidden_size is 0"),
        .configuration(#""hidden_size": 64"#, #""hidden_size": -64"#, says: "hidden_size is -64"),
        .configuration(#""hidden_size": 64"#, #""hidden_size": 4611686018427387904"#, says: "hidden_size"),
        .configuration(#""hidden_size": 64"#, #""hidden_size": 128"#, says: "[288, 64]", "[288, 128]"),
        .configuration(#""num_hidden_layers": 3"#, #""num_hidden_layers": 4"#, says: "model.layers.3."),
        .configuration(#""num_attention_heads": 4"#, #""num_attention_heads": 0"#, says: "num_attention_heads is 0"),
        .configuration(#""num_key_value_heads": 2"#, #""num_key_value_heads": 3"#, says: "num_key_value_heads (3)"),
        .configuration(#""head_dim": 16"#, #""head_dim": 15"#, says: "head_dim is 15"),
        .configuration(#""vocab_size": 288"#, #""vocab_size": null"#, says: "vocab_size"),
        .configuration(#""hidden_act": "silu""#, #""hidden_act": "relu2""#, says: "relu2"),
        .configuration(#""rms_norm_eps": 1e-05"#, #""rms_norm_eps": -1"#, says: "rms_norm_eps"),
        .configuration(#""rope_theta": 10000.0"#, #""rope_theta": 0"#, says: "rope_theta"),
        .configuration(#""rope_scaling": null"#, #""rope_scaling": {"rope_type": "x"}"#, says: "rope_scaling"),
    ]

    @Test(arguments: configurations) func damagedConfiguration(damage: Damage) throws {
        let scratch = try Scratch()
        try scratch.copy(Program.llama, as: "m")
        try refuses(damage, model: "m", in: scratch)
    }

    static let tokenizers: [Damage] = [
        .truncated("tokenizer.json", 0), .truncated("tokenizer.json", 2000), .truncated("tokenizer.json", 4900),
        Damage("no UTF-8", says: "tokenizer.json") { try $0.write(Data([0xFF, 0xFE]), to: "m/tokenizer.json") },
        Damage("broken settings", says: "tokenizer_config.json") { try $0.write("[", to: "m/tokenizer_config.json") },
        Damage("broken template", says: "chat template") { try $0.write("{{ a", to: "m/chat_template.jinja") },
        Damage("a pointer of git-lfs", says: "m/tokenizer.json", "git lfs pull") { try $0.write(pointer, to: "m/tokenizer.json") },
    ]
    /// What a clone without git-lfs has in the place of a large file.
    private static let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b\nsize 12345\n"

    @Test(arguments: tokenizers) func damagedTokenizer(damage: Damage) throws {
        let scratch = try Scratch()
        try scratch.copy(Program.llama, as: "m")
        try refuses(damage, model: "m", in: scratch)
    }

    @Test(arguments: [0, 4, 20, 1000, 5000, 10_000, 40_000, 146_975]) func truncatedGGUF(count: Int) throws {
        let scratch = try Scratch()
        try scratch.copy(Program.gguf, as: "m.gguf")
        try refuses(Damage("", says: "m.gguf") { try $0.truncate("m.gguf", to: count) }, model: "m.gguf", in: scratch)
    }

    /// Opening a pipe that nobody writes to would wait for ever.
    @Test(arguments: ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
    func aPipeInThePlaceOfAFile(file: String) throws {
        let scratch = try Scratch()
        try scratch.copy(Program.llama, as: "m")
        try scratch.remove("m/" + file)
        #expect(mkfifo(scratch.path("m/" + file), 0o600) == 0)
        let line = "timeout 30 \"$M\" inspect m --json; timeout 30 \"$M\" eval --model m --data \(Program.tokens) --json"
        let result = try Program.shell(line, in: scratch)
        #expect(result.status != 124 && !result.wasKilled, "\(result.errors)")
        if file == "config.json" || file == "model.safetensors" { #expect([65, 66].contains(result.status), "\(result.errors)") }
    }

    @Test func aFileThatIsNoGGUF() throws {
        let scratch = try Scratch()
        try refuses(Damage("", says: "m.gguf", "GGUF") { try $0.write("GGML, no GGUF", to: "m.gguf") }, model: "m.gguf", in: scratch)
        try refuses(Damage("", says: "m.gguf", "git lfs pull") { try $0.write(Self.pointer, to: "m.gguf") }, model: "m.gguf", in: scratch)
        let inspected = try Program.run(["inspect", scratch.path("m.gguf")])
        #expect(inspected.status == 65 && inspected.errors.contains("git lfs pull"))
        let weights = try Program.eval(Program.llama + "/model.safetensors")
        #expect(weights.status == 65 && weights.message.contains("model.safetensors: this file holds only weights; give the folder"))
        #expect(try Program.eval(scratch.path("nothing")).status == 66)
        #expect(try Program.eval("x").status == 66)
    }

    static let adapters: [(String, Int32, @Sendable (Scratch) throws -> Void)] = [
        ("adapter_config.json: not valid JSON", 65, { try $0.truncate("a/adapter_config.json", to: 100) }),
        ("adapter_config.json: cannot be read", 65, { try $0.remove("a/adapter_config.json") }),
        ("adapter_model.safetensors", 65, { try $0.truncate("a/adapter_model.safetensors", to: 10_000) }),
        ("adapter_model.safetensors", 66, { try $0.remove("a/adapter_model.safetensors") }),
        ("is of rank 4", 65, { try $0.replace(#""r": 4"#, with: #""r": 5"#, in: "a/adapter_config.json") }),
        ("is of rank 4", 65, { try $0.replace(#""rank_pattern": {}"#, with: #""rank_pattern": {"q_proj": 5}"#, in: "a/adapter_config.json") }),
        ("regular expression", 65, { try $0.replace(#""alpha_pattern": {}"#, with: #""alpha_pattern": {"(": 5}"#, in: "a/adapter_config.json") }),
        ("the rank 0", 65, { try $0.replace(#""rank_pattern": {}"#, with: #""rank_pattern": {"q_proj": 0}"#, in: "a/adapter_config.json") }),
        ("No such file", 66, { try $0.remove("a") }),
    ]

    @Test(arguments: adapters.indices) func damagedAdapter(index: Int) throws {
        let (sentence, status, apply) = Self.adapters[index]
        let scratch = try Scratch()
        try scratch.copy(Program.adapter, as: "a")
        try apply(scratch)
        let result = try Program.eval(Program.llama, "--adapter", scratch.path("a"))
        #expect(result.status == status)
        #expect(result.output.isEmpty)
        #expect(result.message.contains(sentence), "\(result.message)")
    }
}
