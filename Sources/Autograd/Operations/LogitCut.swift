package import TensorCore

/// How a loss is cut: tokens that go through the head together, and parts of the vocabulary that they meet one after another.
/// Shapes and the head's form alone decide it, so that nothing else changes a bit.
package struct LogitCut {
    /// Tokens of a chunk. A chunk reads the head once, and has its hidden states and their gradients in float32.
    package let rows: Int
    /// The head in parts of the vocabulary.
    package let parts: [Weight]

    /// Cuts a loss over so many tokens.
    package init(tokens: Int, head: Weight) {
        let most = Self.mostRows(tokens: tokens, hidden: head.columns)
        let ids = max(Self.step, min(Self.mostLogits / max(1, most), Self.mostIDs(hidden: head.columns)) / Self.step * Self.step)
        parts = head.parts(ofRows: ids)
        // A head that cannot be cut as finely meets fewer tokens.
        let widest = parts.map(\.rows).max() ?? 1
        let fitting = widest > ids ? min(most, max(Self.fewestRows, Self.mostLogits / widest / 64 * 64)) : most
        let chunks = max(1, (tokens + fitting - 1) / max(1, fitting))
        rows = min(tokens, ((tokens + chunks - 1) / chunks + 63) / 64 * 64)
    }

    /// The most bytes that chunks of so many tokens or fewer take: hidden states, their gradients and rows of the head, and
    /// gradients of logits.
    /// - Parameter elementBytes: of a gradient of a logit.
    package static func mostBytes(tokens: Int, head: Weight, elementBytes: Int) -> Int {
        let rows = mostRows(tokens: tokens, hidden: head.columns)
        let widest = head.parts(ofRows: mostIDs(hidden: head.columns)).map(\.rows).max() ?? 0
        return 12 * rows * head.columns + elementBytes * min(rows * head.rows, max(mostLogits, fewestRows * widest))
    }

    /// The most bytes of a part of the head that lie in mapped files.
    package static func mostMappedBytes(of head: Weight) -> Int {
        head.parts(ofRows: mostIDs(hidden: head.columns)).reduce(0) { max($0, MappedWeights([$1]).byteCount) }
    }

    /// The most tokens of a chunk, of so many or fewer.
    package static func mostRows(tokens: Int, hidden: Int) -> Int {
        min(tokens, max(512, min(2048, mostStateElements / max(1, hidden) / 64 * 64)))
    }

    private static func mostIDs(hidden: Int) -> Int { max(step, mostHeadElements / max(1, hidden) / step * step) }

    /// Tiles of logits begin on such multiples, and blocks of a head in most forms.
    private static let step = 1024
    /// Elements of the hidden states of a chunk, of the logits of a part, and of the head's part.
    private static let mostStateElements = 1 << 22, mostLogits = 3 << 21, mostHeadElements = 3 << 22
    private static let fewestRows = 256
}
