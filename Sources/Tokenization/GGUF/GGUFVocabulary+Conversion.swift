/// GGUF metadata rewritten as the files that the tokenizers library reads, which is also how we read it ourselves.
extension GGUFVocabulary {
    enum TokenType {
        static let unknown = 2
        static let control = 3
        static let userDefined = 4
    }

    /// The contents of an equivalent tokenizer.json.
    func tokenizerJSON() throws(TokenizationError) -> JSONValue {
        try checkTypes()
        switch model {
        case "gpt2": return try byteLevelJSON()
        case "llama", "gemma4": return try sentencePieceJSON()
        default:
            throw .unsupported(
                place: "tokenizer.ggml.model", found: "the GGUF tokenizer \"\(model)\"",
                supported: "gpt2 (byte-level BPE), llama and gemma4 (SentencePiece's BPE)")
        }
    }

    private func byteLevelJSON() throws(TokenizationError) -> JSONValue {
        let style = try GGUFSplitStyle(pre)
        return file(
            normalizer: style.normalizer, preTokenizer: style.preTokenizer,
            postProcessor: try postProcessor(addsBOS: style.addsBOS),
            decoder: GGUFSplitStyle.byteLevel(prefixSpace: true, usesPattern: true),
            model: [
                "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
                "end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false,
                "ignore_merges": .bool(style.ignoresMerges), "vocab": .object(try vocabulary(tokens)),
                "merges": .array(merges.map { .string($0) }),
            ])
    }

    /// The tokens with their ids.
    func vocabulary(_ tokens: [String]) throws(TokenizationError) -> JSONObject {
        var vocabulary = JSONObject()
        for (id, token) in tokens.enumerated() where !vocabulary.append(token, .integer(id)) {
            throw .duplicateToken(token)
        }
        return vocabulary
    }

    func file(
        normalizer: JSONValue, preTokenizer: JSONValue, postProcessor: JSONValue, decoder: JSONValue, model: JSONValue
    ) -> JSONValue {
        [
            "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(addedTokens().map(\.json)),
            "normalizer": normalizer, "pre_tokenizer": preTokenizer, "post_processor": postProcessor,
            "decoder": decoder, "model": model,
        ]
    }

    private func checkTypes() throws(TokenizationError) {
        guard tokenTypes.isEmpty || tokenTypes.count == tokens.count else {
            throw .malformed(
                place: "tokenizer.ggml.token_type", found: "\(tokenTypes.count) entries",
                expected: "one for each of the \(tokens.count) tokens")
        }
    }

    private func addedTokens() -> [AddedToken] {
        zip(tokenTypes.indices, tokenTypes).compactMap { id, type in
            guard type == TokenType.control || type == TokenType.userDefined, !tokens[id].isEmpty else { return nil }
            // Runs of spaces are found by merges, in the spelling with `▁`.
            if model != "gpt2", tokens[id].utf8.allSatisfy({ $0 == 0x20 }) { return nil }
            return AddedToken(content: tokens[id], id: TokenID(id), isSpecial: type == TokenType.control)
        }
    }

    /// The text of a token that has a role.
    func text(_ id: TokenID?, _ role: String) throws(TokenizationError) -> String? {
        guard let id else { return nil }
        guard tokens.indices.contains(Int(id)) else {
            throw .idOutOfRange(token: "tokenizer.ggml.\(role)", id: Int(id), limit: tokens.count - 1)
        }
        return tokens[Int(id)]
    }

    func postProcessor(addsBOS: Bool) throws(TokenizationError) -> JSONValue {
        let bos = addBOS ?? addsBOS ? try text(bosID, "bos_token_id") : nil
        let eos = addEOS ?? false ? try text(eosID, "eos_token_id") : nil
        guard bos != nil || eos != nil else { return .null }
        func around(_ sequence: String, _ type: Int) -> [JSONValue] {
            func element(_ kind: String, _ id: String) -> JSONValue {
                .object([kind: .object(["id": .string(id), "type_id": .integer(type)])])
            }
            return (bos.map { [element("SpecialToken", $0)] } ?? []) + [element("Sequence", sequence)]
                + (eos.map { [element("SpecialToken", $0)] } ?? [])
        }
        var special = JSONObject()
        for (text, id) in [(bos, bosID), (eos, eosID)] {
            guard let text, let id else { continue }
            special[text] = .object([
                "id": .string(text), "ids": .array([.integer(Int(id))]), "tokens": .array([.string(text)]),
            ])
        }
        return .object([
            "type": .string("TemplateProcessing"), "single": .array(around("A", 0)),
            "pair": .array(around("A", 0) + around("B", 1)), "special_tokens": .object(special),
        ])
    }

    /// The contents of an equivalent tokenizer_config.json.
    func tokenizerConfigurationJSON() throws(TokenizationError) -> JSONValue {
        _ = try text(eotID, "eot_token_id")
        var file = JSONObject()
        file["bos_token"] = try text(bosID, "bos_token_id").map { .string($0) }
        file["eos_token"] = try text(eosID, "eos_token_id").map { .string($0) }
        file["pad_token"] = try text(padID, "padding_token_id").map { .string($0) }
        file["unk_token"] = try text(unkID, "unknown_token_id").map { .string($0) }
        file["tokenizer_class"] = .string("PreTrainedTokenizerFast")
        file["add_prefix_space"] = .bool(false)
        file["clean_up_tokenization_spaces"] = .bool(false)
        file["chat_template"] = chatTemplate.map { .string($0) }
        return .object(file)
    }
}
