/// Reads vocabulary, merges and added tokens out of tokenizer.json and checks that they agree.
struct TokenizerFileReader {
    let file: JSONFields
    let model: JSONFields

    func vocabulary() throws(TokenizationError) -> Vocabulary {
        let fields = try model.fields("vocab")
        var vocabulary = Vocabulary(expectedCount: fields.object.members.count)
        for (token, value) in fields.object.members {
            guard case .integer(let id) = value else {
                throw JSONFields.malformed("\(fields.place).\(token)", value, "an integer")
            }
            try vocabulary.insert(token, id: id)
        }
        return vocabulary
    }

    func bytePairEncoding(_ vocabulary: Vocabulary) throws(TokenizationError) -> BytePairEncoding {
        var unknown: TokenID?
        if model.present("unk_token") != nil {
            let text = try model.string("unk_token")
            guard let id = vocabulary.id(of: text) else { throw .unknownSpecialToken(role: "unk_token", token: text) }
            unknown = id
        }
        return BytePairEncoding(
            vocabulary: vocabulary, pairs: try pairs(vocabulary),
            ignoresMerges: try model.bool("ignore_merges", default: false), unknown: unknown,
            fusesUnknown: try model.bool("fuse_unk", default: false))
    }

    private func pairs(_ vocabulary: Vocabulary) throws(TokenizationError) -> PairTable {
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
            pairs.insert(try id(left), try id(right), rank: rank, id: try id(left + right))
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
