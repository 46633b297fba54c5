/// Why a tokenizer could not be made. `description` is one sentence: what was found, where, and what to do.
public enum TokenizationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A value of tokenizer.json, tokenizer_config.json or GGUF metadata is missing or of the wrong kind.
    case malformed(place: String, found: String, expected: String)
    /// A component that exists elsewhere but that this program does not implement.
    case unsupported(place: String, found: String, supported: String)
    /// Two tokens claim one id.
    case duplicateID(id: Int, first: String, second: String)
    /// One token stands in the vocabulary twice.
    case duplicateToken(String)
    /// An id is negative or far beyond the number of tokens.
    case idOutOfRange(token: String, id: Int, limit: Int)
    /// An added token's id is not the one that its place in the file gives it.
    case addedTokenIDMismatch(token: String, found: Int, expected: Int)
    /// A merge names a token, or makes one, that the vocabulary lacks.
    case mergeOfUnknownToken(place: String, token: String)
    /// A special token (its role is `bos_token`, `eos_token` …) is not in the vocabulary.
    case unknownSpecialToken(role: String, token: String)
    /// The regular expression of a pre-tokeniser cannot be compiled.
    case invalidPattern(place: String, pattern: String)

    /// One sentence: what was found, where, and what to do.
    public var description: String {
        switch self {
        case .malformed(let place, let found, let expected):
            "\(place): found \(found) where \(expected) is expected; the file is damaged or no tokenizer file"
        case .unsupported(let place, let found, let supported):
            "\(place): \(found) is not supported; supported here: \(supported)"
        case .duplicateID(let id, let first, let second):
            "the tokens \(quoted(first)) and \(quoted(second)) both have the id \(id); every id must be unique"
        case .duplicateToken(let token):
            "the token \(quoted(token)) occurs twice in the vocabulary; remove one of the two"
        case .idOutOfRange(let token, let id, let limit):
            "the token \(quoted(token)) has the id \(id), which is not between 0 and \(limit); the file is damaged"
        case .addedTokenIDMismatch(let token, let found, let expected):
            "the added token \(quoted(token)) has the id \(found) where \(expected) is expected "
                + "(its id in the vocabulary, or the next free one); give it that id"
        case .mergeOfUnknownToken(let place, let token):
            "\(place): the merge needs the token \(quoted(token)), which the vocabulary lacks; the file is damaged"
        case .unknownSpecialToken(let role, let token):
            "\(role) is \(quoted(token)), which the vocabulary lacks; use the tokenizer files that belong together"
        case .invalidPattern(let place, let pattern):
            "\(place): the regular expression \(quoted(pattern)) cannot be compiled; correct it"
        }
    }

    private func quoted(_ text: String) -> String {
        let shown = text.unicodeScalars.prefix(80).map { $0.escaped(asASCII: false) }.joined()
        return text.unicodeScalars.count > 80 ? "\"\(shown)…\"" : "\"\(shown)\""
    }
}
