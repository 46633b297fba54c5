extension Tokenizer {
    /// The contents of a tokenizer.json that gives the same ids.
    public func tokenizerJSON() -> JSONValue {
        guard case .bytePairEncoding(let encoding) = core.model else { return .null }
        var vocabulary = JSONObject()
        for id in 0..<core.vocabulary.size {
            guard let piece = core.vocabulary.piece(of: TokenID(id)), !core.addedOnly.contains(TokenID(id)) else {
                continue
            }
            vocabulary[piece] = .integer(id)
        }
        let merges = encoding.pairs.inOrder.map { pair in
            JSONValue.array([pair.left, pair.right].map { .string(core.vocabulary.piece(of: $0) ?? "") })
        }
        var file = core.skeleton
        var model = file["model"]?.objectValue ?? [:]
        model["vocab"] = .object(vocabulary)
        model["merges"] = .array(merges)
        file["model"] = .object(model)
        return .object(file)
    }

    /// The contents of a tokenizer_config.json: the one read, or one made from GGUF metadata.
    public func tokenizerConfigurationJSON() -> JSONValue { .object(core.configuration) }
}
