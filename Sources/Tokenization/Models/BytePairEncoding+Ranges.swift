/// Places of tokens in the text, found by walking over the text again with the ids.
extension BytePairEncoding {
    /// Appends the range of each token of a word. What has no token lies in no range, or in the unknown token's.
    func appendRanges(
        of ids: ArraySlice<TokenID>, _ text: PlacedText, _ word: PieceRange, to ranges: inout [Range<Int>]
    ) {
        var walk = Walk(encoding: self, text: text, word: word)
        for id in ids { ranges.append(walk.advance(id)) }
    }

    private struct Walk {
        let encoding: BytePairEncoding
        let text: PlacedText
        let word: PieceRange
        var at: Int

        init(encoding: BytePairEncoding, text: PlacedText, word: PieceRange) {
            self.encoding = encoding
            self.text = text
            self.word = word
            at = word.start
        }

        /// What the text is at a position.
        private enum Symbol { case known, byte, unknown }

        private func symbol(_ position: Int) -> (kind: Symbol, end: Int) {
            switch encoding.alphabet {
            case .bytes(let tokens): return (tokens[Int(text.bytes[position])] >= 0 ? .known : .unknown, position + 1)
            case .characters(let symbols):
                // Bytes within a character are those of one that has no token of its own.
                if text.bytes[position] & 0xC0 == 0x80 { return (.byte, position + 1) }
                let (value, end) = PieceText(text.bytes).scalar(position)
                let (isFirst, isLast) = (position == word.start, end == word.end)
                if symbols.token(of: value, isFirst: isFirst, isLast: isLast) >= 0 { return (.known, end) }
                let falls = symbols.fallback(text.bytes[position..<end], isFirst: isFirst, isLast: isLast) != nil
                return falls ? (.byte, position + 1) : (.unknown, end)
            }
        }

        /// The bytes of the spelling that do not stand in the text: tokens inside a word may carry a prefix.
        private var prefixCount: Int {
            guard case .characters(let symbols) = encoding.alphabet, at > word.start else { return 0 }
            return symbols.affixes.prefix.count
        }

        mutating func advance(_ id: TokenID) -> Range<Int> {
            if encoding.unknown == nil { skipUnknown() }
            let start = at
            if id == encoding.unknown, at < word.end, symbol(at).kind == .unknown {
                at = symbol(at).end
                if encoding.fusesUnknown { skipUnknown() }
            } else if at < word.end, symbol(at).kind == .byte {
                at += 1
            } else {
                let end = min(word.end, at + encoding.spelledCount(of: id) - prefixCount)
                while at < end { at = symbol(at).end }
            }
            return text.origin.original(start..<at)
        }

        private mutating func skipUnknown() {
            while at < word.end, case let (kind, end) = symbol(at), kind == .unknown { at = end }
        }
    }
}
