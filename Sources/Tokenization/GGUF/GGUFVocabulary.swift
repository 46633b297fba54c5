/// The tokenizer part of a GGUF file's metadata, as plain values.
public struct GGUFVocabulary: Sendable {
    /// `tokenizer.ggml.model`: `gpt2` is byte-level BPE; `llama` and `gemma4` are SentencePiece's BPE.
    public var model: String
    /// `tokenizer.ggml.pre`: which split pattern; `default` where the key is missing.
    public var pre: String
    /// `tokenizer.ggml.tokens`, by id.
    public var tokens: [String]
    /// `tokenizer.ggml.token_type`, by id: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. Empty
    /// where the key is missing.
    public var tokenTypes: [Int]
    /// `tokenizer.ggml.merges`: two tokens with a space between them, in order; `llama` has scores instead.
    public var merges: [String]
    /// `tokenizer.ggml.scores`, by id; byte-level BPE has none.
    public var scores: [Float]
    /// `tokenizer.ggml.bos_token_id`
    public var bosID: TokenID?
    /// `tokenizer.ggml.eos_token_id`
    public var eosID: TokenID?
    /// `tokenizer.ggml.eot_token_id`
    public var eotID: TokenID?
    /// `tokenizer.ggml.unknown_token_id`
    public var unkID: TokenID?
    /// `tokenizer.ggml.padding_token_id`
    public var padID: TokenID?
    /// `tokenizer.ggml.add_bos_token`; where the key is missing, the split pattern decides.
    public var addBOS: Bool?
    /// `tokenizer.ggml.add_eos_token`
    public var addEOS: Bool?
    /// `tokenizer.ggml.add_space_prefix`, for `llama`; where the key is missing, a space is put before the text.
    public var addSpacePrefix: Bool?
    /// `tokenizer.chat_template`
    public var chatTemplate: String?

    /// Takes the values over unchecked; `Tokenizer.init(vocabulary:)` checks them.
    public init(
        model: String, pre: String, tokens: [String], tokenTypes: [Int] = [], merges: [String] = [],
        scores: [Float] = [], bosID: TokenID? = nil, eosID: TokenID? = nil, eotID: TokenID? = nil,
        unkID: TokenID? = nil, padID: TokenID? = nil, addBOS: Bool? = nil, addEOS: Bool? = nil,
        addSpacePrefix: Bool? = nil, chatTemplate: String? = nil
    ) {
        self.model = model
        self.pre = pre
        self.tokens = tokens
        self.tokenTypes = tokenTypes
        self.merges = merges
        self.scores = scores
        self.bosID = bosID
        self.eosID = eosID
        self.eotID = eotID
        self.unkID = unkID
        self.padID = padID
        self.addBOS = addBOS
        self.addEOS = addEOS
        self.addSpacePrefix = addSpacePrefix
        self.chatTemplate = chatTemplate
    }
}
