/// A token as a number. Ids are never negative.
public typealias TokenID = Int32

/// A token with a role.
public struct SpecialToken: Sendable, Hashable {
    /// The id.
    public let id: TokenID
    /// The token as it stands in the vocabulary, for example `<|im_end|>`.
    public let text: String
}

/// The tokens with a role; each is `nil` where the model has none.
public struct SpecialTokens: Sendable, Hashable {
    /// Begins a text.
    public internal(set) var bos: SpecialToken?
    /// Ends a text.
    public internal(set) var eos: SpecialToken?
    /// Fills up a batch; unused in training here, where nothing is padded.
    public internal(set) var pad: SpecialToken?
    /// Stands for what the vocabulary cannot express.
    public internal(set) var unk: SpecialToken?
    /// Ends a turn of a conversation, where that is not the work of `eos`.
    public internal(set) var eot: SpecialToken?
    /// All ids at which generation stops: `eos`, `eot` and the end-of-turn tokens known by name.
    public internal(set) var stop: Set<TokenID> = []

    /// Texts that end a turn in every model that has them as a special token.
    static let endOfTurnTexts = ["<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|eom|>", "<|im_end|>", "<end_of_turn>"]

    /// Reads the roles out of tokenizer_config.json or special_tokens_map.json.
    ///
    /// - Parameter endOfTurn: The token that ends a turn, where another source than the file names it.
    init(
        _ configuration: JSONObject, vocabulary: Vocabulary, specialIDs: Set<TokenID>, eot endOfTurn: TokenID?
    ) throws(TokenizationError) {
        bos = try Self.token("bos_token", configuration, vocabulary)
        eos = try Self.token("eos_token", configuration, vocabulary)
        eot = try Self.token("eot_token", configuration, vocabulary)
        if let endOfTurn, let text = vocabulary.piece(of: endOfTurn) { eot = SpecialToken(id: endOfTurn, text: text) }
        // A padding or unknown token that is not there does no harm; several published models name such ones.
        pad = try? Self.token("pad_token", configuration, vocabulary)
        unk = try? Self.token("unk_token", configuration, vocabulary)
        stop = Set([eos, eot].compactMap { $0?.id })
        for text in Self.endOfTurnTexts {
            if let id = vocabulary.id(of: text), specialIDs.contains(id) { stop.insert(id) }
        }
    }

    /// Entries are strings or objects with `content`.
    private static func token(
        _ role: String, _ configuration: JSONObject, _ vocabulary: Vocabulary
    ) throws(TokenizationError) -> SpecialToken? {
        guard let entry = configuration[role], entry != .null else { return nil }
        guard let text = entry.stringValue ?? entry["content"]?.stringValue else {
            throw JSONFields.malformed("tokenizer_config.json: \(role)", entry, "a string or an object with content")
        }
        guard let id = vocabulary.id(of: text) else { throw .unknownSpecialToken(role: role, token: text) }
        return SpecialToken(id: id, text: text)
    }
}
