/// What the name in `tokenizer.ggml.pre` stands for.
enum GGUFSplitStyle: Sendable {
    case gpt2, digitsThenGPT2, plain
    case llama3(ignoresMerges: Bool)
    case qwen2(normalizes: Bool)
    case cased(SplitScanner)

    init(_ pre: String) throws(TokenizationError) {
        switch pre {
        case "gpt-2", "phi-2", "olmo", "mpt": self = .gpt2
        case "smollm", "starcoder", "refact", "command-r": self = .digitsThenGPT2
        case "llama-bpe", "llama3", "llama-v3", "falcon3": self = .llama3(ignoresMerges: true)
        case "dbrx", "smaug-bpe": self = .llama3(ignoresMerges: false)
        // The Qwen tokenizer composes characters first; the others with its pattern do not.
        case "qwen2": self = .qwen2(normalizes: true)
        case "deepseek-r1-qwen", "megrez", "stablelm2": self = .qwen2(normalizes: false)
        case "gpt-4o", "llama4": self = .cased(.cased(digits: 3, contractions: true))
        case "tekken": self = .cased(.cased(digits: 1, contractions: false))
        case "default": self = .plain
        default:
            throw .unsupported(
                place: "tokenizer.ggml.pre", found: "the split pattern \"\(pre)\"",
                supported: "gpt-2, smollm, llama-bpe, qwen2, gpt-4o, llama4, tekken, default and their kin; "
                    + "use the model's tokenizer.json instead")
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
        case .cased(.cased(_, contractions: false)): true
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
        case .llama3: return Self.splits([SplitScanner.llama3(digits: 3).pattern])
        case .qwen2: return Self.splits([SplitScanner.llama3(digits: 1).pattern])
        case .cased(let scanner): return Self.splits([scanner.pattern])
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
