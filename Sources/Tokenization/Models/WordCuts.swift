/// Where a text without a pre-tokeniser may be cut into words although BPE runs over it as a whole.
///
/// Merges happen in the order of their ranks wherever they apply, so two parts of a text do not influence each other if
/// no merge ever reaches across the place between them. That is certain before a space (or `▁`) that no merged token
/// contains behind the character that stands there. Cut so, words can be remembered.
struct WordCuts: Sendable {
    /// Characters behind which a merged token goes on with a space; `nil` where a space is no known character.
    private var beforeSpace: Set<UInt32>?
    /// The same for `▁`.
    private var beforeMark: Set<UInt32>?
    private static let mark: UInt32 = 0x2581

    /// - Returns: `nil` if a merge takes part of a character or an unknown token, whose text is not its spelling.
    init?(vocabulary: Vocabulary, pairs: PairTable, symbols: CharacterSymbols, unknown: TokenID?) {
        guard symbols.affixes.isEmpty else { return nil }
        var special = Set(symbols.byteTokens)
        if let unknown { special.insert(unknown) }
        var mergesSpecial = false
        var (space, mark): (Set<UInt32>, Set<UInt32>) = ([], [])
        pairs.forEach { left, right, merged in
            if special.contains(left) || special.contains(right) { mergesSpecial = true }
            guard let piece = vocabulary.piece(of: merged), piece.utf8.contains(where: { $0 == 0x20 || $0 == 0xE2 })
            else { return }
            var previous: UInt32?
            for scalar in piece.unicodeScalars {
                if let previous, scalar == " " { space.insert(previous) }
                if let previous, scalar.value == Self.mark { mark.insert(previous) }
                previous = scalar.value
            }
        }
        if mergesSpecial { return nil }
        func isKnown(_ value: UInt32) -> Bool { symbols.token(of: value, isFirst: true, isLast: true) >= 0 }
        if isKnown(0x20) { beforeSpace = space }
        if isKnown(Self.mark) { beforeMark = mark }
        if beforeSpace == nil, beforeMark == nil { return nil }
    }

    /// The first place after `start` where the piece may be cut, or its end.
    func next(_ text: UnsafeBufferPointer<UInt8>, after start: Int, end: Int) -> Int {
        var at = start + 1
        while at < end {
            let byte = text[at]
            if byte == 0x20, let beforeSpace, !beforeSpace.contains(Self.scalar(text, before: at)) { return at }
            if byte == 0xE2, let beforeMark, text[at + 1] == 0x96, text[at + 2] == 0x81,
                !beforeMark.contains(Self.scalar(text, before: at))
            {
                return at
            }
            at += 1
        }
        return end
    }

    private static func scalar(_ text: UnsafeBufferPointer<UInt8>, before position: Int) -> UInt32 {
        var start = position - 1
        while text[start] & 0xC0 == 0x80 { start -= 1 }
        return PieceText(text).scalar(start).value
    }
}
