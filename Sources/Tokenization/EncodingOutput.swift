/// Ids, and their places in the user's text if asked for.
struct EncodingOutput {
    var ids: [TokenID] = []
    var ranges: [Range<Int>] = []
    let wantsRanges: Bool

    init(wantsRanges: Bool) { self.wantsRanges = wantsRanges }

    /// Appends a token that stands for a piece of a text.
    @inline(__always)
    mutating func append(_ id: TokenID, _ piece: PieceRange, of text: PlacedText) {
        ids.append(id)
        if wantsRanges { ranges.append(text.origin.original(piece.start..<piece.end)) }
    }

    /// Takes back all tokens from this one on.
    mutating func removeTokens(from first: Int) {
        if wantsRanges { ranges.removeLast(ids.count - first) }
        ids.removeLast(ids.count - first)
    }

    /// Appends tokens that stand for nothing in the text.
    mutating func append(_ added: [TokenID], at position: Int) {
        ids += added
        if wantsRanges { ranges += added.map { _ in position..<position } }
    }
}
