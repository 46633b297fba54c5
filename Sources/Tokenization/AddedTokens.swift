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

/// Finds added tokens in text: leftmost match first, the longest of those that start there.
struct AddedTokenMatcher: Sendable {
    /// A stretch of text: an added token, or what lies between two of them (`token` is −1).
    struct Split: Sendable, Hashable {
        var start: Int
        var end: Int
        var token: TokenID
    }

    private struct Node: Sendable {
        var children: [UInt8: Int] = [:]
        /// An index into `tokens`, or −1.
        var token = -1
    }

    private let tokens: [AddedToken]
    private var nodes = [Node()]
    private var startsToken = [Bool](repeating: false, count: 256)

    /// - Parameter contents: What is looked for, token by token: the content, or the content after normalisation.
    init(_ tokens: [AddedToken], contents: [String]) {
        self.tokens = tokens
        for (number, content) in contents.enumerated() {
            guard let first = content.utf8.first else { continue }
            startsToken[Int(first)] = true
            var node = 0
            for byte in content.utf8 {
                if let next = nodes[node].children[byte] {
                    node = next
                } else {
                    nodes.append(Node())
                    nodes[node].children[byte] = nodes.count - 1
                    node = nodes.count - 1
                }
            }
            if nodes[node].token < 0 { nodes[node].token = number }
        }
    }

    var isEmpty: Bool { tokens.isEmpty }

    /// Cuts `bytes` at the tokens. The splits cover it in order; they may overlap only where a token that swallows
    /// white space stands before a token made of white space.
    func split(_ bytes: UnsafeBufferPointer<UInt8>) -> [Split] {
        var splits: [Split] = []
        var (covered, at) = (0, 0)
        while at < bytes.count {
            guard startsToken[Int(bytes[at])], let (number, matchEnd) = longestMatch(bytes, at) else {
                at += 1
                continue
            }
            let token = tokens[number]
            var (start, end) = (at, matchEnd)
            at = matchEnd
            if token.isSingleWord, bytes.isWord(before: start) || bytes.isWord(at: end) { continue }
            if token.stripsLeft { start = max(covered, bytes.startOfWhitespace(before: start)) }
            if token.stripsRight { end = bytes.endOfWhitespace(from: end) }
            if covered < start { splits.append(Split(start: covered, end: start, token: -1)) }
            splits.append(Split(start: start, end: end, token: token.id))
            covered = end
        }
        if covered < bytes.count { splits.append(Split(start: covered, end: bytes.count, token: -1)) }
        return splits
    }

    private func longestMatch(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int) -> (token: Int, end: Int)? {
        var best: (token: Int, end: Int)?
        var (node, at) = (0, start)
        while at < bytes.count, let next = nodes[node].children[bytes[at]] {
            (node, at) = (next, at + 1)
            if nodes[node].token >= 0 { best = (nodes[node].token, at) }
        }
        return best
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// The scalar that starts at `position` and where it ends. The bytes must be valid UTF-8.
    fileprivate func scalar(at position: Int) -> (scalar: Unicode.Scalar, end: Int) {
        let text = PieceText(self)
        let (value, end) = text.scalar(position)
        return (Unicode.Scalar(value) ?? "\u{FFFD}", end)
    }

    fileprivate func scalarStart(before position: Int) -> Int {
        var start = position - 1
        while start > 0, self[start] & 0xC0 == 0x80 { start -= 1 }
        return start
    }

    fileprivate func isWord(at position: Int) -> Bool {
        position < count && scalar(at: position).scalar.isWordCharacter
    }

    fileprivate func isWord(before position: Int) -> Bool {
        position > 0 && scalar(at: scalarStart(before: position)).scalar.isWordCharacter
    }

    fileprivate func startOfWhitespace(before position: Int) -> Int {
        var start = position
        while start > 0 {
            let previous = scalarStart(before: start)
            guard scalar(at: previous).scalar.properties.isWhitespace else { break }
            start = previous
        }
        return start
    }

    fileprivate func endOfWhitespace(from position: Int) -> Int {
        var end = position
        while end < count {
            let (scalar, next) = scalar(at: end)
            guard scalar.properties.isWhitespace else { break }
            end = next
        }
        return end
    }
}

extension Unicode.Scalar {
    /// What `\w` means in Unicode regular expressions: letters, marks, decimal digits, connectors, joiners.
    fileprivate var isWordCharacter: Bool {
        if properties.isAlphabetic || properties.isJoinControl { return true }
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
        default: return false
        }
    }
}
