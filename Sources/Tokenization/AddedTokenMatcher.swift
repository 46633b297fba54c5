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
