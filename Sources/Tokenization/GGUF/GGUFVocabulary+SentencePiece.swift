/// SentencePiece's BPE out of GGUF metadata, which hold scores where tokenizer.json holds merges.
extension GGUFVocabulary {
    /// The tokenizer.json of a SentencePiece vocabulary: spaces become `▁`, what has no token is written in bytes.
    func sentencePieceJSON() throws(TokenizationError) -> JSONValue {
        // Runs of spaces may be written as such, which no token of the vocabulary can be once spaces are `▁`.
        let spelled = tokens.map { token in
            token.utf8.allSatisfy { $0 == 0x20 } ? String(repeating: "▁", count: token.utf8.count) : token
        }
        let vocabulary = try vocabulary(spelled)
        let hasPrefix = model == "llama" && addSpacePrefix ?? true
        let toMark: JSONValue = ["type": "Replace", "pattern": ["String": " "], "content": "▁"]
        let prefix: JSONValue = ["type": "Prepend", "prepend": "▁"]
        let fromMark: JSONValue = ["type": "Replace", "pattern": ["String": "▁"], "content": " "]
        let strip: JSONValue = ["type": "Strip", "content": " ", "start": 1, "stop": 0]
        let steps: [JSONValue] = [fromMark, ["type": "ByteFallback"], ["type": "Fuse"]]
        let merges =
            merges.isEmpty
            ? try mergesFromScores(spelled, vocabulary) : merges.map { .string($0) }
        return file(
            normalizer: hasPrefix ? ["type": "Sequence", "normalizers": [prefix, toMark]] : toMark,
            preTokenizer: nil, postProcessor: try postProcessor(addsBOS: model == "llama"),
            decoder: ["type": "Sequence", "decoders": .array(steps + (hasPrefix ? [strip] : []))],
            model: [
                "type": "BPE", "dropout": nil, "unk_token": try unknownToken(spelled),
                "continuing_subword_prefix": nil, "end_of_word_suffix": nil, "fuse_unk": true,
                "byte_fallback": true, "ignore_merges": false, "vocab": .object(vocabulary),
                "merges": .array(merges),
            ])
    }

    private func unknownToken(_ spelled: [String]) throws(TokenizationError) -> JSONValue {
        if try text(unkID, "unknown_token_id") != nil, let unkID { return .string(spelled[Int(unkID)]) }
        return tokenTypes.firstIndex(of: TokenType.unknown).map { .string(spelled[$0]) } ?? nil
    }

    /// The longest token in bytes; the ways to make one grow with the square.
    private static let longestToken = 4096

    /// A way in which two tokens make a third.
    private struct Merge {
        var left: Int
        var right: Int
        var leftCount: Int
        var count: Int
        var token: Int
    }

    /// Two tokens are joined if together they are a token, the one with the best score first; tokens that the user has
    /// defined come before all others. Of several ways to make a token, the one with the longest beginning comes
    /// first, as transformers has it.
    private func mergesFromScores(
        _ spelled: [String], _ vocabulary: JSONObject
    ) throws(TokenizationError) -> [JSONValue] {
        guard scores.count == tokens.count else {
            throw .malformed(
                place: "tokenizer.ggml.scores", found: "\(scores.count) entries",
                expected: "one for each of the \(tokens.count) tokens, or merges")
        }
        var found: [Merge] = []
        for (token, text) in spelled.enumerated() {
            let scalars = text.unicodeScalars
            guard var at = scalars.indices.dropFirst().first else { continue }
            guard text.utf8.count <= Self.longestToken else {
                throw .malformed(
                    place: "tokenizer.ggml.tokens[\(token)]", found: "\(text.utf8.count) bytes",
                    expected: "at most \(Self.longestToken)")
            }
            var leftCount = 1
            while at < scalars.endIndex {
                if let left = vocabulary[String(scalars[..<at])]?.intValue,
                    let right = vocabulary[String(scalars[at...])]?.intValue
                {
                    found.append(
                        Merge(left: left, right: right, leftCount: leftCount, count: scalars.count, token: token))
                }
                scalars.formIndex(after: &at)
                leftCount += 1
            }
        }
        func isDefined(_ token: Int) -> Bool { !tokenTypes.isEmpty && tokenTypes[token] == TokenType.userDefined }
        found.sort { a, b in
            let (definedA, definedB) = (isDefined(a.token), isDefined(b.token))
            if definedA != definedB { return definedA }
            if definedA, a.token != b.token { return a.token < b.token }
            if scores[a.token] != scores[b.token] { return scores[a.token] > scores[b.token] }
            if a.leftCount != b.leftCount { return a.leftCount > b.leftCount }
            if a.count != b.count { return a.count > b.count }
            if a.token != b.token { return a.token < b.token }
            return (a.left, a.right) < (b.left, b.right)
        }
        return found.map { .array([.string(spelled[$0.left]), .string(spelled[$0.right])]) }
    }
}
