import Foundation
import Testing
import Tokenization

/// The hand-written scanners against the regular-expression engine, seen through tokenizers that differ in nothing
/// else: `(?:)` before the pattern hides it from the scanners.
@Suite struct SplitScannerTests {
    static let suffix = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    static let spaces = #"\s*[\r\n]+|\s+(?!\S)|\s+"#
    static let patterns: [String: String] = [
        "gpt2": #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#,
        "llama3": #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"#
            + spaces,
        "qwen2": #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"# + spaces,
        "o200k": word(suffix) + #"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"# + spaces,
        "qwen35": #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|"#
            + spaces,
        "cl100k": #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|"#
            + #"\s*[\r\n]|\s+(?!\S)|\s+"#,
        "deepseek": ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"## + "[^\r\n"
            + #"\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+["# + "\r\n" + #"]*|\s*["# + "\r\n"
            + #"]+|\s+(?!\S)|\s+"#,
        "ideographs": "[一-龥\u{3040}-ゟ゠-ヿ]+", "numbers": #"\p{N}{1,3}"#,
        "spaces": #"\s+"#, "twoSpaces": " {2,}", "newline": #"\n"#,
        "tekken": word("") + #"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"# + spaces,
    ]

    static func word(_ suffix: String) -> String {
        #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"# + suffix
            + #"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"# + suffix
    }

    @Test(arguments: patterns.keys.sorted())
    func agreesWithTheRegexEngine(name: String) throws {
        let pattern = try #require(Self.patterns[name])
        let scanner = try TinyTokenizer.make(pattern: pattern)
        let engine = try TinyTokenizer.make(pattern: "(?:)" + pattern)
        var random = TextGenerator(seed: 7)
        for _ in 0..<3000 {
            let text = random.text()
            let (mine, theirs) = (scanner.encode(text), engine.encode(text))
            #expect(mine == theirs, "\(text.debugDescription)")
        }
    }

    @Test func seesEveryAssignedCharacterAsTheEngineDoes() throws {
        let pattern = try #require(Self.patterns["o200k"])
        let scanner = try TinyTokenizer.make(pattern: pattern)
        let engine = try TinyTokenizer.make(pattern: "(?:)" + pattern)
        let values = Array(1...0x33FF) + Array(0xA000...0xABFF) + Array(0xF900...0x1FFFF) + Array(0x323A0...0x32410)
        for part in stride(from: 0, to: values.count, by: 64) {
            let scalars = values[part..<min(part + 64, values.count)].compactMap { Unicode.Scalar(UInt32($0)) }
            // Younger characters are not yet known to every engine.
            let known = scalars.filter { ($0.properties.age?.major ?? 99) <= 13 }
            let text = known.map { "a\($0)B \($0)1\($0)-\($0)" }.joined(separator: "\n")
            #expect(scanner.encode(text) == engine.encode(text))
        }
    }
}

/// Tokenizers over single bytes whose ids show where the text was split: before each piece stands a space.
enum TinyTokenizer {
    static func make(pattern: String) throws -> Tokenizer {
        let split: JSONValue = [
            "type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated", "invert": false,
        ]
        return try make(steps: [split])
    }

    /// A tokenizer with these pre-tokenisers before a ByteLevel that puts a space before every piece.
    static func make(steps: [JSONValue], merges: [JSONValue] = [], extra: [String] = []) throws -> Tokenizer {
        try Tokenizer(tokenizerJSON: json(steps: steps, merges: merges, extra: extra), configuration: nil)
    }

    static func json(steps: [JSONValue] = [], merges: [JSONValue] = [], extra: [String] = []) -> JSONValue {
        let byteLevel: JSONValue = [
            "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": false,
        ]
        var vocabulary = JSONObject()
        var next = UInt16(0x100)
        for byte in UInt16(0)..<256 {
            let isPrintable = 0x21...0x7E ~= byte || 0xA1...0xAC ~= byte || 0xAE...0xFF ~= byte
            let scalar = Unicode.Scalar(isPrintable ? byte : next)
            if !isPrintable { next += 1 }
            vocabulary[scalar.map { String($0) } ?? ""] = .integer(Int(byte))
        }
        for (at, token) in extra.enumerated() { vocabulary[token] = .integer(256 + at) }
        return [
            "added_tokens": [], "normalizer": nil,
            "pre_tokenizer": ["type": "Sequence", "pretokenizers": .array(steps + [byteLevel])],
            "post_processor": nil, "decoder": ["type": "ByteLevel"],
            "model": ["type": "BPE", "vocab": .object(vocabulary), "merges": .array(merges)],
        ]
    }

    /// The pieces of a text with a bar between them, for texts without spaces.
    static func pieces(_ tokenizer: Tokenizer, _ text: String) -> String {
        tokenizer.decode(tokenizer.encode(text)).split(separator: " ", omittingEmptySubsequences: true)
            .joined(separator: "|")
    }
}

/// Random text of the kind that split patterns care about.
struct TextGenerator {
    private var state: UInt64
    private static let fragments: [String] = [
        "'s", "'S", "'ll", "'LL", "'Ve", "'\u{17F}", "'re", "'t", "'", " ", " ", "  ", "   ", "\n", "\r\n", "\t",
        "\u{A0}", "\u{3000}", "\u{2028}", "\u{85}", "\u{B}", "\u{1C}", "hello", " World", "123", "4", "56789", "!?",
        "...", "/", "//\n", "don't", "I'M", "É", "e\u{301}", "한", "क्षि", "\u{301}", "😀", "👨‍👩‍👧", "日本語", "ǅ",
        "ʰ", "ª", "²", "Ⅷ", "١٢", "camelCase", "ABCdef", "ΑΒΓδ", "\u{200D}", "\u{FEFF}",
    ]

    init(seed: UInt64) { state = seed }

    mutating func next(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
    }

    mutating func text() -> String {
        (0..<next(14)).map { _ in
            switch next(10) {
            case 0..<7: return Self.fragments[next(Self.fragments.count)]
            case 7: return String(UnicodeScalar(UInt8(32 + next(95))))
            default:
                let scalar = Unicode.Scalar(UInt32(next(0x3000)))
                return scalar.flatMap { ($0.properties.age?.major ?? 99) <= 13 ? String($0) : nil } ?? "x"
            }
        }.joined()
    }
}
