/// Reads vocabulary, model and added tokens out of tokenizer.json and checks that they agree.
struct TokenizerFileReader {
    let file: JSONFields
    let model: JSONFields
    /// The kind of the model: BPE, Unigram, WordPiece or WordLevel.
    let type: String

    init(file: JSONFields) throws(TokenizationError) {
        self.file = file
        model = try file.fields("model")
        // Files from before 2020 leave the type of BPE models away.
        let isOldBPE = model.present("type") == nil && model.present("merges") != nil
        type = isOldBPE ? "BPE" : try model.string("type")
    }

    /// The vocabulary, and the scores of a Unigram model.
    func vocabulary() throws(TokenizationError) -> (pieces: Vocabulary, scores: [Double]) {
        if type == "Unigram" { return try scoredVocabulary() }
        let fields = try model.fields("vocab")
        var vocabulary = Vocabulary(expectedCount: fields.object.members.count)
        for (token, value) in fields.object.members {
            guard case .integer(let id) = value else {
                throw JSONFields.malformed("\(fields.place).\(token)", value, "an integer")
            }
            try vocabulary.insert(token, id: id)
        }
        return (vocabulary, [])
    }

    private func scoredVocabulary() throws(TokenizationError) -> (pieces: Vocabulary, scores: [Double]) {
        let entries = try model.array("vocab")
        var vocabulary = Vocabulary(expectedCount: entries.count)
        var scores: [Double] = []
        scores.reserveCapacity(entries.count)
        for (id, entry) in entries.enumerated() {
            guard let pair = entry.arrayValue, pair.count == 2, let token = pair[0].stringValue,
                let score = pair[1].doubleValue
            else {
                throw JSONFields.malformed("\(model.place).vocab[\(id)]", entry, "a pair of token and score")
            }
            // The library's own trainer writes the unknown token twice.
            try vocabulary.insert(token, id: id, replacing: true)
            scores.append(score)
        }
        return (vocabulary, scores)
    }

    /// The model. A `ByteLevel` step at the end of `preTokenizer` is taken over into it where it can be.
    func tokenizerModel(
        _ vocabulary: Vocabulary, scores: [Double], _ preTokenizer: inout PreTokenizer
    ) throws(TokenizationError) -> TokenizerModel {
        switch type {
        case "BPE":
            let reader = BytePairEncodingReader(model: model, vocabulary: vocabulary)
            return .bytePairEncoding(try reader.encoding(&preTokenizer))
        case "Unigram":
            guard model.present("unk_id") != nil else {
                throw .unsupported(
                    place: model.place, found: "a Unigram model without unk_id", supported: "one with unk_id")
            }
            let unknown = try model.integer("unk_id")
            guard vocabulary.pieces.indices.contains(unknown) else {
                throw .idOutOfRange(token: "unk_id", id: unknown, limit: vocabulary.size - 1)
            }
            return .unigram(
                Unigram(
                    vocabulary: vocabulary, scores: scores, unknown: TokenID(unknown),
                    fallsBackToBytes: try model.bool("byte_fallback", default: false)))
        case "WordPiece":
            let longest = model.present("max_input_chars_per_word") == nil
                ? 100 : try model.integer("max_input_chars_per_word")
            let prefix = model.present("continuing_subword_prefix") == nil
                ? "##" : try model.string("continuing_subword_prefix")
            return .wordPiece(
                WordPiece(
                    vocabulary: vocabulary, unknown: try unknown(vocabulary, default: "[UNK]"), prefix: prefix,
                    longestWord: longest))
        case "WordLevel":
            return .wordLevel(WordLevel(vocabulary: vocabulary, unknown: try unknown(vocabulary, default: "<unk>")))
        default:
            throw .unsupported(
                place: model.place, found: "a tokenizer of the type \(type)",
                supported: "BPE, Unigram, WordPiece and WordLevel")
        }
    }

    private func unknown(_ vocabulary: Vocabulary, default fallback: String) throws(TokenizationError) -> TokenID {
        let text = model.present("unk_token") == nil ? fallback : try model.string("unk_token")
        guard let id = vocabulary.id(of: text) else { throw .unknownSpecialToken(role: "unk_token", token: text) }
        return id
    }

    /// Adds the added tokens and says which of them the vocabulary lacked.
    func addAddedTokens(
        to vocabulary: inout Vocabulary
    ) throws(TokenizationError) -> (all: [AddedToken], new: Set<TokenID>) {
        guard file.present("added_tokens") != nil else { return ([], []) }
        let modelCount = vocabulary.count
        var tokens: [AddedToken] = []
        var new: Set<TokenID> = []
        var seen: [TokenID: String] = [:]
        var highest = -1
        for (at, entry) in try file.array("added_tokens").enumerated() {
            let token = try AddedToken(JSONFields(entry, "\(file.place): added_tokens[\(at)]"))
            if let other = seen[token.id] {
                throw .duplicateID(id: Int(token.id), first: other, second: token.content)
            }
            seen[token.id] = token.content
            // The ids that the tokenizers library gives out, whatever the file says; a file that says something else
            // would be read differently there and here.
            let known = vocabulary.id(of: token.content)
            let expected = known.map { Int($0) } ?? (highest >= modelCount ? highest + 1 : modelCount)
            guard Int(token.id) == expected else {
                throw .addedTokenIDMismatch(token: token.content, found: Int(token.id), expected: expected)
            }
            if known == nil {
                try vocabulary.insert(token.content, id: expected)
                new.insert(token.id)
            }
            highest = max(highest, expected)
            tokens.append(token)
        }
        return (tokens, new)
    }

    /// The file without vocabulary and merges.
    func skeleton() -> JSONObject {
        let rest = model.object.members.filter { $0.key != "vocab" && $0.key != "merges" }
        return JSONObject(
            file.object.members.map { member in
                member.key == "model" ? (member.key, .object(JSONObject(rest))) : member
            })
    }
}
