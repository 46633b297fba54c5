/// What the name in `tokenizer.ggml.pre` stands for.
enum GGUFSplitStyle: Sendable {
    case gpt2, digitsThenGPT2, plain
    case llama3(ignoresMerges: Bool)
    case qwen2(normalizes: Bool)
    case cased(digits: Int, contractions: Bool)
    case scanners([SplitScanner])
    /// Patterns that are applied one after the other.
    case patterns([String])

    init(_ pre: String) throws(TokenizationError) {
        switch pre {
        case "gpt-2", "phi-2", "olmo", "mpt", "jais", "trillion", "granite-docling", "gigachat", "mellum", "roberta-bpe":
            self = .gpt2
        case "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b": self = .digitsThenGPT2
        case "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2":
            self = .llama3(ignoresMerges: true)
        case "dbrx", "smaug-bpe", "glm4", "chatglm-bpe": self = .llama3(ignoresMerges: false)
        // The Qwen tokenizer composes characters first; the others with its pattern do not.
        case "qwen2": self = .qwen2(normalizes: true)
        case "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "grok-2": self = .qwen2(normalizes: false)
        case "qwen35": self = .scanners([.llama3(digits: 1, marks: true)])
        case "gpt-4o", "llama4", "minimax-m2", "kanana2": self = .cased(digits: 3, contractions: true)
        case "tekken": self = .cased(digits: 1, contractions: false)
        case "deepseek-v3", "hunyuan-dense": self = .scanners([.numbers(digits: 3), .ideographs, .deepSeek])
        case "deepseek-coder":
            self = .patterns([
                "[\r\n]", #"\s?\p{L}+"#, #"\s?\p{P}+"#, "[一-龥\u{800}-一가-\u{D7FF}]+", #"\p{N}"#,
            ])
        case "default": self = .plain
        default:
            throw .unsupported(
                place: "tokenizer.ggml.pre", found: "the split pattern \"\(pre)\"",
                supported: "gpt-2, smollm, llama-bpe, qwen2, qwen35, gpt-4o, llama4, tekken, deepseek-v3, "
                    + "deepseek-coder, glm4, default and their kin; use the model's tokenizer.json instead")
        }
    }

    var ignoresMerges: Bool {
        switch self {
        case .llama3(let ignoresMerges): ignoresMerges
        case .cased: true
        default: false
        }
    }

    /// Whether a BOS token is added where the file does not say.
    var addsBOS: Bool {
        switch self {
        case .llama3(let ignoresMerges): ignoresMerges
        case .cased(_, let contractions): !contractions
        default: false
        }
    }

    var normalizer: JSONValue {
        if case .qwen2(normalizes: true) = self { .object(["type": .string("NFC")]) } else { .null }
    }

    var preTokenizer: JSONValue {
        switch self {
        case .gpt2: return Self.byteLevel(prefixSpace: false, usesPattern: true)
        case .digitsThenGPT2:
            let digits = JSONValue.object(["type": .string("Digits"), "individual_digits": .bool(true)])
            return Self.sequence([digits, Self.byteLevel(prefixSpace: false, usesPattern: true)])
        case .llama3: return Self.splits([SplitScanner.llama3(digits: 3, marks: false).pattern])
        case .qwen2: return Self.splits([SplitScanner.llama3(digits: 1, marks: false).pattern])
        case .cased(let digits, let contractions):
            return Self.splits([SplitScanner.cased(digits: digits, contractions: contractions).pattern])
        case .scanners(let scanners): return Self.splits(scanners.map(\.pattern))
        case .patterns(let patterns): return Self.splits(patterns)
        case .plain:
            return Self.splits([
                #"[\p{P}\$\+<=>\^~\|]+"#,
                #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"#,
                #"\p{N}+"#, "[0-9][0-9][0-9]",
            ])
        }
    }

    static func byteLevel(prefixSpace: Bool, usesPattern: Bool) -> JSONValue {
        .object([
            "type": .string("ByteLevel"), "add_prefix_space": .bool(prefixSpace), "trim_offsets": .bool(true),
            "use_regex": .bool(usesPattern),
        ])
    }

    private static func sequence(_ steps: [JSONValue]) -> JSONValue {
        .object(["type": .string("Sequence"), "pretokenizers": .array(steps)])
    }

    private static func splits(_ patterns: [String]) -> JSONValue {
        let steps = patterns.map { pattern in
            JSONValue.object([
                "type": .string("Split"), "pattern": .object(["Regex": .string(pattern)]),
                "behavior": .string("Isolated"), "invert": .bool(false),
            ])
        }
        return sequence(steps + [byteLevel(prefixSpace: false, usesPattern: false)])
    }
}
