/// Hand-written equivalents of the split patterns that byte-level tokenizers use. They match at every position, so
/// that the matches cover the text; a test holds them against a regular-expression engine.
enum SplitScanner: Sendable, Hashable {
    /// The pattern of GPT-2, also built into the `ByteLevel` pre-tokeniser.
    case gpt2
    /// The pattern of Llama 3 (numbers of up to three digits) and Qwen 2 (one digit).
    case llama3(digits: Int)
    /// The pattern of GPT-4o and Llama 4 (with contractions, three digits) and of Mistral's Tekken (without, one).
    case cased(digits: Int, contractions: Bool)

    /// The scanner for a pattern, if it is a known one.
    init?(pattern: String) {
        guard let known = Self.all.first(where: { $0.pattern.hasSameBytes(as: pattern) }) else { return nil }
        self = known
    }

    static let all: [SplitScanner] = [
        .gpt2, .llama3(digits: 3), .llama3(digits: 1), .cased(digits: 3, contractions: true),
        .cased(digits: 1, contractions: false),
    ]

    /// The regular expression that the scanner stands for.
    var pattern: String {
        switch self {
        case .gpt2: return #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
        case .llama3(let digits):
            return #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + Self.number(digits)
                + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        case .cased(let digits, let contractions):
            let suffix = contractions ? "(?i:'s|'t|'re|'ve|'m|'ll|'d)?" : ""
            return #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"# + suffix
                + #"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"# + suffix
                + "|" + Self.number(digits) + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        }
    }

    private static func number(_ digits: Int) -> String { digits == 1 ? #"\p{N}"# : #"\p{N}{1,\#(digits)}"# }

    /// Appends the matches in `start..<text.end`, one after the other.
    func scan(_ text: ClassifiedText, from start: Int, into pieces: inout [PieceRange]) {
        switch self {
        case .gpt2: walk(text, start, &pieces) { $0.gpt2Match($1) }
        case .llama3(let digits): walk(text, start, &pieces) { $0.llama3Match($1, digits: digits) }
        case .cased(let digits, let contractions):
            walk(text, start, &pieces) { $0.casedMatch($1, digits: digits, contractions: contractions) }
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
}
