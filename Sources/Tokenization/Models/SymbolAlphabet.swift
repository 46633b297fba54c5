/// How byte-pair encoding cuts a word into its first symbols.
enum SymbolAlphabet: Sendable {
    /// Byte-level BPE: the token of each byte, −1 where the vocabulary has none.
    case bytes([TokenID])
    case characters(CharacterSymbols)
}

/// The first symbols of BPE over characters, as SentencePiece and the first subword tokenizers have it.
struct CharacterSymbols: Sendable {
    /// What a character is called within a word: `##b` when it does not start it, `b</w>` when it ends it.
    struct Affixes: Sendable, Hashable {
        var prefix: [UInt8] = []
        var suffix: [UInt8] = []
        var isEmpty: Bool { prefix.isEmpty && suffix.isEmpty }
    }

    let affixes: Affixes
    /// Tokens of characters, with neither affix, the prefix, the suffix, or both.
    private var tables: [ScalarTable]
    /// The token of each byte for characters without one, −1 for none; empty without byte fallback.
    let byteTokens: [TokenID]

    init(vocabulary: Vocabulary, affixes: Affixes, fallsBackToBytes: Bool) {
        self.affixes = affixes
        byteTokens = fallsBackToBytes ? ByteFallback.tokens(vocabulary) : []
        tables = [ScalarTable](repeating: ScalarTable(), count: affixes.isEmpty ? 1 : 4)
        for id in 0..<vocabulary.size {
            guard let piece = vocabulary.piece(of: TokenID(id)) else { continue }
            for form in tables.indices {
                var rest = Substring(piece).utf8
                if form & 1 == 1 {
                    guard rest.starts(with: affixes.prefix) else { continue }
                    rest = rest.dropFirst(affixes.prefix.count)
                }
                if form & 2 == 2 {
                    guard rest.suffix(affixes.suffix.count).elementsEqual(affixes.suffix) else { continue }
                    rest = rest.dropLast(affixes.suffix.count)
                }
                let scalars = Substring(rest).unicodeScalars
                if let scalar = scalars.first, scalars.index(after: scalars.startIndex) == scalars.endIndex {
                    tables[form].insert(scalar.value, TokenID(id))
                }
            }
        }
    }

    /// The token of a character; −1 where there is none.
    @inline(__always)
    func token(of value: UInt32, isFirst: Bool, isLast: Bool) -> TokenID {
        if tables.count == 1 { return tables[0][value] }
        return tables[(isFirst ? 0 : 1) | (isLast ? 2 : 0)][value]
    }

    /// The bytes that stand for a character without a token; `nil` unless all of them have tokens.
    func fallback(
        _ content: some Collection<UInt8>, isFirst: Bool, isLast: Bool
    ) -> [TokenID]? {
        if byteTokens.isEmpty { return nil }
        let spelled = (isFirst ? [] : affixes.prefix) + Array(content) + (isLast ? affixes.suffix : [])
        let tokens = spelled.map { byteTokens[Int($0)] }
        return tokens.contains { $0 < 0 } ? nil : tokens
    }
}

/// Tokens by code point.
private struct ScalarTable: Sendable {
    private static let directLimit = 0x3000
    private var direct = [TokenID](repeating: -1, count: directLimit)
    private var others: [UInt32: TokenID] = [:]

    mutating func insert(_ value: UInt32, _ id: TokenID) {
        if value < Self.directLimit { direct[Int(value)] = id } else { others[value] = id }
    }

    @inline(__always)
    subscript(value: UInt32) -> TokenID {
        value < Self.directLimit ? direct[Int(value)] : others[value] ?? -1
    }
}
