extension Tokenizer {
    /// The contents of a tokenizer.json that gives the same ids.
    public func tokenizerJSON() -> JSONValue {
        var file = core.skeleton
        var model = file["model"]?.objectValue ?? [:]
        switch core.model {
        case .unigram(let unigram):
            model["vocab"] = .array(
                unigram.writtenScores.indices.map { id in
                    [.string(core.vocabulary.piece(of: TokenID(id)) ?? ""), .number(unigram.writtenScores[id])]
                })
        case .bytePairEncoding(let encoding):
            model["vocab"] = .object(vocabularyObject())
            model["merges"] = .array(
                encoding.pairs.inOrder.map { pair in
                    .array([pair.left, pair.right].map { .string(core.vocabulary.piece(of: $0) ?? "") })
                })
        case .wordPiece, .wordLevel: model["vocab"] = .object(vocabularyObject())
        }
        file["model"] = .object(model)
        return .object(file)
    }

    /// The model's own tokens with their ids.
    private func vocabularyObject() -> JSONObject {
        var vocabulary = JSONObject()
        for id in 0..<core.vocabulary.size {
            guard let piece = core.vocabulary.piece(of: TokenID(id)), !core.addedOnly.contains(TokenID(id)) else {
                continue
            }
            vocabulary[piece] = .integer(id)
        }
        return vocabulary
    }

    /// The contents of a tokenizer_config.json: the one read, or one made from GGUF metadata.
    public func tokenizerConfigurationJSON() -> JSONValue { .object(core.configuration) }
}
