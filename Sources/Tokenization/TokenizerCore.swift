/// Everything a tokenizer consists of; made once and never changed.
final class TokenizerCore: Sendable {
    let vocabulary: Vocabulary
    let model: TokenizerModel
    let addedTokens: [AddedToken]
    /// Added tokens that the model's own vocabulary lacks.
    let addedOnly: Set<TokenID>
    let specialIDs: Set<TokenID>
    /// Finds tokens in the text as it is, and in the normalised text.
    let verbatimMatcher: AddedTokenMatcher
    let normalizedMatcher: AddedTokenMatcher
    let normalizers: [Normalizer]
    let preTokenizer: PreTokenizer
    let postProcessor: PostProcessor
    let decoder: TokenDecoder
    /// Added tokens that are decoded otherwise than they are written, because they were normalised.
    let spellings: [TokenID: String]
    /// Ids that decoding leaves out when it skips special tokens: those whose spelling is that of a special token.
    let skippedIDs: Set<TokenID>
    let specialTokens: SpecialTokens
    let chatTemplate: String?
    /// tokenizer.json without vocabulary and merges, which are kept in a denser form.
    let skeleton: JSONObject
    let configuration: JSONObject
    let scratch = ScratchPool()

    /// - Parameters:
    ///   - source: What error messages call the place that `tokenizerJSON` comes from.
    ///   - eot: The token that ends a turn, where another source than `configuration` names it.
    init(
        tokenizerJSON: JSONValue, configuration: JSONValue?, source: String = "tokenizer.json", eot: TokenID? = nil
    ) throws(TokenizationError) {
        let file = try JSONFields(tokenizerJSON, source)
        normalizers = try [Normalizer](file.present("normalizer"), place: "\(source): normalizer")
        decoder = try TokenDecoder(file.present("decoder"), place: "\(source): decoder")
        let reader = try TokenizerFileReader(file: file)
        var preTokenizer = try PreTokenizer(file.present("pre_tokenizer"), place: "\(source): pre_tokenizer")
        var (vocabulary, scores) = try reader.vocabulary()
        model = try reader.tokenizerModel(vocabulary, scores: scores, &preTokenizer)
        self.preTokenizer = preTokenizer
        (addedTokens, addedOnly) = try reader.addAddedTokens(to: &vocabulary)
        self.vocabulary = vocabulary
        specialIDs = Set(addedTokens.filter(\.isSpecial).map(\.id))
        let verbatim = addedTokens.filter { !$0.isNormalized }
        let normalized = addedTokens.filter(\.isNormalized)
        verbatimMatcher = AddedTokenMatcher(verbatim, contents: verbatim.map { Array($0.content.utf8) })
        let normalizers = normalizers
        let contents = normalized.map { normalizers.normalized($0.content) }
        normalizedMatcher = AddedTokenMatcher(normalized, contents: contents)
        postProcessor = try PostProcessor(
            file.present("post_processor"), place: "\(source): post_processor",
            vocabularySize: vocabulary.size)
        spellings = Dictionary(
            zip(normalized.map(\.id), contents.map { String(decoding: $0, as: UTF8.self) }), uniquingKeysWith: { $1 })
        let special = Set(addedTokens.filter(\.isSpecial).map { ExactString($0.content) })
        let spellings = spellings
        let shadowed = vocabulary.shadowed.map { ($0, vocabulary.piece(of: $0) ?? "") }
        skippedIDs = Set(
            (addedTokens.map { ($0.id, spellings[$0.id] ?? $0.content) } + shadowed)
                .filter { special.contains(ExactString($0.1)) }.map(\.0))

        self.configuration = try Self.configurationObject(configuration)
        specialTokens = try SpecialTokens(
            self.configuration, vocabulary: vocabulary, specialIDs: specialIDs, eot: eot)
        chatTemplate = try Self.chatTemplate(self.configuration)
        skeleton = reader.skeleton()
    }

    private static func configurationObject(_ value: JSONValue?) throws(TokenizationError) -> JSONObject {
        guard let value, value != .null else { return [:] }
        return try JSONFields(value, "tokenizer_config.json").object
    }

    /// A template is a string, or a list of named ones of which the one named `default` counts.
    private static func chatTemplate(_ configuration: JSONObject) throws(TokenizationError) -> String? {
        guard let value = configuration["chat_template"], value != .null else { return nil }
        if let text = value.stringValue { return text }
        guard let list = value.arrayValue else {
            throw JSONFields.malformed(
                "tokenizer_config.json: chat_template", value, "a string or a list of named templates")
        }
        return list.first { $0["name"] == .string("default") }?["template"]?.stringValue
    }
}
