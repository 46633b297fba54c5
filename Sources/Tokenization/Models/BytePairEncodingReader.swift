/// Reads a BPE model out of tokenizer.json.
struct BytePairEncodingReader {
    let model: JSONFields
    let vocabulary: Vocabulary

    /// - Parameter preTokenizer: Loses its last step where that writes text in the byte-level alphabet and the model
    ///   can as well read the bytes themselves.
    func encoding(_ preTokenizer: inout PreTokenizer) throws(TokenizationError) -> BytePairEncoding {
        if let dropout = model.present("dropout"), dropout.doubleValue != 0 {
            throw .unsupported(place: model.place, found: "BPE with dropout", supported: "BPE without dropout")
        }
        let affixes = CharacterSymbols.Affixes(
            prefix: try affix("continuing_subword_prefix"), suffix: try affix("end_of_word_suffix"))
        let fallsBackToBytes = try model.bool("byte_fallback", default: false)
        let alphabet: SymbolAlphabet
        if preTokenizer.endsInByteLevel, affixes.isEmpty, !fallsBackToBytes {
            preTokenizer = preTokenizer.withoutLastStep()
            alphabet = .bytes(
                (0...255).map { (byte: UInt8) in
                    vocabulary.id(of: ByteLevelAlphabet.piece(for: CollectionOfOne(byte))) ?? -1
                })
        } else {
            alphabet = .characters(
                CharacterSymbols(vocabulary: vocabulary, affixes: affixes, fallsBackToBytes: fallsBackToBytes))
        }
        return BytePairEncoding(
            vocabulary: vocabulary, pairs: try pairs(prefixCount: affixes.prefix.count), alphabet: alphabet,
            ignoresMerges: try model.bool("ignore_merges", default: false), unknown: try unknown(alphabet),
            fusesUnknown: try model.bool("fuse_unk", default: false))
    }

    private func affix(_ key: String) throws(TokenizationError) -> [UInt8] {
        model.present(key) == nil ? [] : Array(try model.string(key).utf8)
    }

    /// An unknown token that the vocabulary lacks does no harm where nothing can be unknown.
    private func unknown(_ alphabet: SymbolAlphabet) throws(TokenizationError) -> TokenID? {
        guard model.present("unk_token") != nil else { return nil }
        let text = try model.string("unk_token")
        if let id = vocabulary.id(of: text) { return id }
        let byteTokens: [TokenID]
        switch alphabet {
        case .bytes(let tokens): byteTokens = tokens
        case .characters(let symbols): byteTokens = symbols.byteTokens
        }
        guard !byteTokens.isEmpty, !byteTokens.contains(where: { $0 < 0 }) else {
            throw .unknownSpecialToken(role: "unk_token", token: text)
        }
        return nil
    }

    private func pairs(prefixCount: Int) throws(TokenizationError) -> PairTable {
        let merges = try model.array("merges")
        var pairs = PairTable(capacity: merges.count)
        for (rank, merge) in merges.enumerated() {
            // Older files start the list with a version comment.
            if case .string(let text) = merge, text.hasPrefix("#version") { continue }
            let (left, right) = try halves(merge, rank)
            func id(_ token: String) throws(TokenizationError) -> TokenID {
                guard let id = vocabulary.id(of: token) else {
                    throw .mergeOfUnknownToken(place: "\(model.place).merges[\(rank)]", token: token)
                }
                return id
            }
            let merged = left + String(decoding: right.utf8.dropFirst(prefixCount), as: UTF8.self)
            pairs.insert(try id(left), try id(right), rank: rank, id: try id(merged))
        }
        return pairs
    }

    /// The two tokens of a merge: `["a", "b"]`, or `"a b"` in older files.
    private func halves(_ merge: JSONValue, _ rank: Int) throws(TokenizationError) -> (String, String) {
        switch merge {
        case .array(let both):
            if both.count == 2, let left = both[0].stringValue, let right = both[1].stringValue {
                return (left, right)
            }
        case .string(let text):
            let utf8 = text.utf8
            if let space = utf8.firstIndex(of: 0x20), space > utf8.startIndex,
                utf8.index(after: space) < utf8.endIndex, utf8.lastIndex(of: 0x20) == space,
                let left = String(utf8[..<space]), let right = String(utf8[utf8.index(after: space)...])
            {
                return (left, right)
            }
        default: break
        }
        throw JSONFields.malformed(
            "\(model.place).merges[\(rank)]", merge, "a pair of tokens ([\"a\", \"b\"] or \"a b\")")
    }
}
