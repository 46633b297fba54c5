/// How a loss is cut: tokens that go through the head together, and ids of the vocabulary that they meet at a time. Shapes
/// alone decide it, so that nothing else changes a bit.
package enum LogitSizes {
    /// Tokens of a chunk. Every chunk reads the head once, and has its hidden states and their gradients in float32.
    package static func rows(tokens: Int, hidden: Int) -> Int {
        let most = mostRows(tokens: tokens, hidden: hidden), chunks = max(1, (tokens + most - 1) / max(1, most))
        return min(tokens, ((tokens + chunks - 1) / chunks + 63) / 64 * 64)
    }

    /// The most that ``rows(tokens:hidden:)`` is for so many tokens or fewer.
    package static func mostRows(tokens: Int, hidden: Int) -> Int {
        min(tokens, max(512, min(2048, mostStateElements / max(1, hidden) / 64 * 64)))
    }

    /// Ids of a part of the vocabulary.
    package static func vocabulary(rows: Int, hidden: Int) -> Int {
        max(1024, min(mostLogits / max(1, rows), mostHeadElements / max(1, hidden)) / step * step)
    }

    /// The most bytes that chunks of so many tokens or fewer take: hidden states, their gradients and rows of the head, and
    /// gradients of logits.
    /// - Parameter elementBytes: of a gradient of a logit.
    package static func mostBytes(tokens: Int, hidden: Int, vocabulary: Int, elementBytes: Int) -> Int {
        let rows = mostRows(tokens: tokens, hidden: hidden)
        return 12 * rows * hidden + elementBytes * min(rows * vocabulary, mostLogits)
    }

    /// The most bytes of the head's part, if the whole head takes `bytes`.
    package static func mostHeadBytes(of bytes: Int, hidden: Int, vocabulary: Int) -> Int {
        bytes / max(1, vocabulary) * min(vocabulary, max(step, mostHeadElements / max(1, hidden)))
    }

    /// Rows of a head in every stored form begin a block on such multiples, and tiles of logits, too.
    private static let step = 1024

    /// Elements of the hidden states of a chunk, of the logits of a part, and of the head's part.
    private static let mostStateElements = 1 << 22, mostLogits = 3 << 21, mostHeadElements = 3 << 22
}
