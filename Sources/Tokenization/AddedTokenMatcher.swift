/// Finds added tokens in text: leftmost match first, the longest of those that start there.
struct AddedTokenMatcher: Sendable {
    /// A stretch of text: an added token, or what lies between two of them (`token` is −1).
    struct Split: Sendable, Hashable {
        var start: Int
        var end: Int
        var token: TokenID
    }

    private let tokens: [AddedToken]
    /// Finds indices into `tokens`.
    private let trie: PieceTrie

    /// - Parameter contents: What is looked for, token by token: the content, or the content after normalisation.
    init(_ tokens: [AddedToken], contents: [[UInt8]]) {
        self.tokens = tokens
        trie = PieceTrie(zip(contents, Int32(0)...).map { ($0, $1) })
    }

    var isEmpty: Bool { trie.isEmpty }

    /// Cuts `bytes` at the tokens. The splits cover it in order; they may overlap only where a token that swallows
    /// white space stands before a token made of white space.
    func split(_ bytes: UnsafeBufferPointer<UInt8>) -> [Split] {
        var splits: [Split] = []
        var (covered, at) = (0, 0)
        while at < bytes.count {
            guard trie.mayStart(with: bytes[at]), let match = trie.longestMatch(bytes, at, end: bytes.count) else {
                at += 1
                continue
            }
            let token = tokens[Int(match.value)]
            var (start, end) = (at, match.end)
            at = match.end
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
}
