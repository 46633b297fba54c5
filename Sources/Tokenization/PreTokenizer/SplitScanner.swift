/// Hand-written equivalents of the split patterns that tokenizers use; a test holds them against a regular-expression
/// engine.
enum SplitScanner: Sendable, Hashable {
    /// The pattern of GPT-2, also built into the `ByteLevel` pre-tokeniser.
    case gpt2
    /// The pattern of GPT-4 and Llama 3 (numbers of up to three digits) and Qwen 2 (one digit); Qwen 3.5 counts marks
    /// among the letters.
    case llama3(digits: Int, marks: Bool)
    /// The pattern of GPT-4o and Llama 4 (with contractions, three digits) and of Mistral's Tekken (without, one).
    case cased(digits: Int, contractions: Bool)
    /// The three patterns of DeepSeek-V3, which are applied one after the other.
    case numbers(digits: Int), ideographs, deepSeek
    /// The pattern of the `Whitespace` pre-tokeniser, which means more by `\w` than the patterns of files do.
    case words

    /// The scanner for a pattern, if it is a known one.
    init?(pattern: String) {
        guard let known = Self.known.first(where: { $0.pattern.hasSameBytes(as: pattern) }) else { return nil }
        self = known.scanner
    }

    /// Those that stand for the pattern of a file.
    static let all: [SplitScanner] = [
        .gpt2, .llama3(digits: 3, marks: false), .llama3(digits: 1, marks: false), .llama3(digits: 1, marks: true),
        .cased(digits: 3, contractions: true), .cased(digits: 1, contractions: true),
        .cased(digits: 1, contractions: false), .numbers(digits: 3), .numbers(digits: 2), .ideographs, .deepSeek,
    ]

    private static let known: [(pattern: String, scanner: SplitScanner)] =
        all.map { ($0.pattern, $0) }
        + [3, 1].map { digits in
            // Another spelling of the same: possessive where nothing could be given back, and one line end after as
            // many others as there are.
            (
                #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|"# + number(digits)
                    + #"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#,
                .llama3(digits: digits, marks: false)
            )
        }

    /// The regular expression that the scanner stands for.
    var pattern: String {
        switch self {
        case .gpt2: return #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
        case .llama3(let digits, let marks):
            let (word, other) = marks ? (#"[\p{L}\p{M}]+"#, #"\p{L}\p{M}\p{N}"#) : (#"\p{L}+"#, #"\p{L}\p{N}"#)
            return #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?"# + word + "|" + Self.number(digits)
                + #"| ?[^\s"# + other + #"]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        case .cased(let digits, let contractions):
            let suffix = contractions ? "(?i:'s|'t|'re|'ve|'m|'ll|'d)?" : ""
            return #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"# + suffix
                + #"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"# + suffix
                + "|" + Self.number(digits) + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        case .numbers(let digits): return Self.number(digits)
        case .ideographs: return "[一-龥\u{3040}-ゟ゠-ヿ]+"
        case .deepSeek:
            return ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"##
                + "[^\r\n" + #"\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+["# + "\r\n"
                + #"]*|\s*["# + "\r\n" + #"]+|\s+(?!\S)|\s+"#
        case .words: return #"\w+|[^\w\s]+"#
        }
    }

    private static func number(_ digits: Int) -> String { digits == 1 ? #"\p{N}"# : #"\p{N}{1,\#(digits)}"# }

    /// Whether it matches at every position, so that the matches cover the text.
    var coversText: Bool {
        switch self {
        case .gpt2, .llama3, .cased: true
        case .numbers, .ideographs, .deepSeek, .words: false
        }
    }

    /// Appends the matches in `start..<text.end`, one after the other.
    func scan(_ text: ClassifiedText, from start: Int, into pieces: inout [PieceRange]) {
        switch self {
        case .gpt2: walk(text, start, &pieces) { $0.gpt2Match($1) }
        case .llama3(let digits, marks: false):
            walk(text, start, &pieces) { $0.llama3Match($1, digits: digits, word: .letter) }
        case .llama3(let digits, marks: true):
            walk(text, start, &pieces) { $0.llama3Match($1, digits: digits, word: [.letter, .mark]) }
        case .cased(let digits, let contractions):
            walk(text, start, &pieces) { $0.casedMatch($1, digits: digits, contractions: contractions) }
        case .numbers(let digits):
            search(text, start, &pieces) {
                let end = $0.run(of: .number, from: $1, limit: digits)
                return end > $1 ? end : nil
            }
        case .ideographs: search(text, start, &pieces) { $0.ideographsMatch($1) }
        case .deepSeek: search(text, start, &pieces) { $0.deepSeekMatch($1) }
        case .words: search(text, start, &pieces) { $0.wordsMatch($1) }
        }
    }

    @inline(__always)
    private func walk(
        _ text: ClassifiedText, _ start: Int, _ pieces: inout [PieceRange], _ match: (ClassifiedText, Int) -> Int
    ) {
        var at = start
        while at < text.end {
            let end = match(text, at)
            pieces.append(PieceRange(start: at, end: end))
            at = end
        }
    }

    /// As `walk` does, but steps over characters where nothing matches.
    @inline(__always)
    private func search(
        _ text: ClassifiedText, _ start: Int, _ pieces: inout [PieceRange], _ match: (ClassifiedText, Int) -> Int?
    ) {
        var at = start
        while at < text.end {
            if let end = match(text, at) {
                pieces.append(PieceRange(start: at, end: end))
                at = end
            } else {
                at = text.text.scalar(at).end
            }
        }
    }
}
