/// Text ↔ token ids, exactly as the model's own tokenizer does it. A value that is cheap to copy and may be used from
/// any number of threads at once.
public struct Tokenizer: Sendable {
    let core: TokenizerCore

    /// Makes a tokenizer from the contents of tokenizer.json and tokenizer_config.json.
    ///
    /// - Parameters:
    ///   - tokenizerJSON: The contents of tokenizer.json: BPE, Unigram, WordPiece or WordLevel.
    ///   - configuration: The contents of tokenizer_config.json (or special_tokens_map.json), for the roles of tokens
    ///     and the chat template.
    /// - Throws: `TokenizationError` if the file is damaged or of a kind that is not supported.
    public init(tokenizerJSON: JSONValue, configuration: JSONValue?) throws(TokenizationError) {
        core = try TokenizerCore(tokenizerJSON: tokenizerJSON, configuration: configuration)
    }

    /// Makes a tokenizer from GGUF metadata.
    ///
    /// - Throws: `TokenizationError` if the metadata contradict themselves or name a kind that is not supported.
    public init(vocabulary: GGUFVocabulary) throws(TokenizationError) {
        core = try TokenizerCore(
            tokenizerJSON: vocabulary.tokenizerJSON(), configuration: vocabulary.tokenizerConfigurationJSON(),
            source: "GGUF metadata, read as tokenizer.json", eot: vocabulary.eotID)
    }

    /// The ids of a text.
    ///
    /// - Parameter addSpecialTokens: Adds what the tokenizer puts around every text, such as a BOS token. Texts from
    ///   a chat template carry these already: pass `false` for them. Special tokens written out in the text are
    ///   recognised either way.
    public func encode(_ text: String, addSpecialTokens: Bool = true) -> [TokenID] {
        core.encode(text, addSpecialTokens: addSpecialTokens, wantsRanges: false).ids
    }

    /// The ids of a text together with the bytes that each stands for; see `encode`.
    public func encodeWithOffsets(_ text: String, addSpecialTokens: Bool = true) -> EncodedText {
        let output = core.encode(text, addSpecialTokens: addSpecialTokens, wantsRanges: true)
        return EncodedText(ids: output.ids, ranges: output.ranges)
    }

    /// The text of ids. Bytes that are no UTF-8, such as half a character, become U+FFFD; ids that the vocabulary
    /// lacks are left out.
    public func decode(_ ids: some Sequence<TokenID>, skipSpecialTokens: Bool = false) -> String {
        var run = DecodingRun(core.decoder)
        for id in ids { core.decode(id, skipSpecialTokens: skipSpecialTokens, into: &run) }
        run.finish()
        return String(decoding: run.output, as: UTF8.self)
    }

    /// The token of an id as it stands in the vocabulary, where `Ġ` is a space; `nil` for an unused id.
    public func piece(for id: TokenID) -> String? { core.vocabulary.piece(of: id) }

    /// The id of a token as it stands in the vocabulary.
    public func id(for piece: String) -> TokenID? { core.vocabulary.id(of: piece) }

    /// The highest id plus one, added tokens included. A model's embedding has at least so many rows.
    public var vocabularySize: Int { core.vocabulary.size }

    /// The tokens with a role.
    public var specialTokens: SpecialTokens { core.specialTokens }

    /// Whether decoding leaves this id out when it skips special tokens.
    public func isSpecial(_ id: TokenID) -> Bool { core.specialIDs.contains(id) }

    /// The chat template (Jinja) that comes with the tokenizer, if any.
    public var chatTemplate: String? { core.chatTemplate }
}
