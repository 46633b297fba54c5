/// BERT's model: a word is cut from the left into the longest pieces that are known; one that cannot be cut is unknown
/// as a whole. Pieces inside a word carry a prefix (`##`).
struct WordPiece: Sendable {
    let unknown: TokenID
    private let starts: PieceTrie
    private let continuations: PieceTrie
    /// Longer words, in characters, are unknown.
    private let longestWord: Int

    init(vocabulary: Vocabulary, unknown: TokenID, prefix: String, longestWord: Int) {
        self.unknown = unknown
        self.longestWord = longestWord
        let prefix = Array(prefix.utf8)
        let pieces = (0..<vocabulary.size).compactMap { id in
            vocabulary.piece(of: TokenID(id)).map { (bytes: Array($0.utf8), value: Int32(id)) }
        }
        starts = PieceTrie(pieces)
        continuations = PieceTrie(
            pieces.filter { $0.bytes.starts(with: prefix) }.map { (Array($0.bytes.dropFirst(prefix.count)), $0.value) })
    }

    /// Appends the ids of a word.
    func encode(_ text: PlacedText, _ word: PieceRange, to output: inout EncodingOutput) {
        let first = output.ids.count
        var at = word.start
        let characterCount = text.bytes[word.start..<word.end].reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) }
        if characterCount <= longestWord {
            while at < word.end,
                let match = (at == word.start ? starts : continuations).longestMatch(text.bytes, at, end: word.end)
            {
                output.append(match.value, PieceRange(start: at, end: match.end), of: text)
                at = match.end
            }
        }
        guard at < word.end else { return }
        output.removeTokens(from: first)
        output.append(unknown, word, of: text)
    }
}

/// A model whose tokens are whole words.
struct WordLevel: Sendable {
    let vocabulary: Vocabulary
    let unknown: TokenID

    /// Appends the id of a word.
    func encode(_ text: PlacedText, _ word: PieceRange, to output: inout EncodingOutput) {
        let content = String(decoding: UnsafeBufferPointer(rebasing: text.bytes[word.start..<word.end]), as: UTF8.self)
        output.append(vocabulary.id(of: content) ?? unknown, word, of: text)
    }
}
