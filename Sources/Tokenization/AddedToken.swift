/// A token that is found in the text as it stands, before any splitting: control tokens and words added by hand.
struct AddedToken: Sendable, Hashable {
    var content: String
    var id: TokenID
    /// Left out when decoding skips special tokens.
    var isSpecial = false
    /// Matches only between characters that belong to no word.
    var isSingleWord = false
    /// Swallows the white space on its left.
    var stripsLeft = false
    /// Swallows the white space on its right.
    var stripsRight = false
    /// Is looked for in the normalised text.
    var isNormalized = false

    init(content: String, id: TokenID, isSpecial: Bool) {
        self.content = content
        self.id = id
        self.isSpecial = isSpecial
    }

    init(_ fields: JSONFields) throws(TokenizationError) {
        content = try fields.string("content")
        guard !content.isEmpty else {
            throw .malformed(place: "\(fields.place).content", found: "an empty string", expected: "a token")
        }
        let number = try fields.integer("id")
        guard let id = TokenID(exactly: number), id >= 0 else {
            throw .idOutOfRange(token: content, id: number, limit: Int(TokenID.max))
        }
        self.id = id
        isSpecial = try fields.bool("special", default: false)
        isSingleWord = try fields.bool("single_word", default: false)
        stripsLeft = try fields.bool("lstrip", default: false)
        stripsRight = try fields.bool("rstrip", default: false)
        isNormalized = try fields.bool("normalized", default: !isSpecial)
    }

    var json: JSONValue {
        .object([
            "id": .integer(Int(id)), "content": .string(content), "single_word": .bool(isSingleWord),
            "lstrip": .bool(stripsLeft), "rstrip": .bool(stripsRight), "normalized": .bool(isNormalized),
            "special": .bool(isSpecial),
        ])
    }
}
