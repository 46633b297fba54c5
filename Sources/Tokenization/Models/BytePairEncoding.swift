/// Byte-pair encoding: a word starts as its bytes or characters, and neighbours are joined in the order of the merges.
struct BytePairEncoding: Sendable {
    let alphabet: SymbolAlphabet
    let pairs: PairTable
    /// A word that is a token as a whole is taken as that token, whatever the merges say.
    let ignoresMerges: Bool
    /// The token for what has none; without it that is dropped.
    let unknown: TokenID?
    /// Takes neighbouring unknowns for one token.
    let fusesUnknown: Bool
    /// Whole words by their bytes, for `ignoresMerges`.
    private let words: HashIndex
    /// What the tokens stand for.
    private let bytes: TokenBytes
    private let cuts: WordCuts?

    /// Words with more symbols than this are merged with a heap, whose cost grows more slowly.
    private static let heapThreshold = 48

    init(
        vocabulary: Vocabulary, pairs: PairTable, alphabet: SymbolAlphabet, ignoresMerges: Bool, unknown: TokenID?,
        fusesUnknown: Bool
    ) {
        self.alphabet = alphabet
        self.pairs = pairs
        self.ignoresMerges = ignoresMerges
        self.unknown = unknown
        self.fusesUnknown = fusesUnknown
        var bytes = TokenBytes()
        var words = HashIndex(capacity: ignoresMerges ? vocabulary.count : 0)
        for id in 0..<vocabulary.size {
            bytes.append { storage in
                let start = storage.count
                guard let piece = vocabulary.piece(of: TokenID(id)) else { return }
                switch alphabet {
                case .bytes: guard ByteLevelAlphabet.appendBytes(of: piece, to: &storage) else { return }
                case .characters: storage.append(contentsOf: piece.utf8)
                }
                guard ignoresMerges else { return }
                storage[start...].withUnsafeBufferPointer { words.insert(ByteHash.hash($0), id) }
            }
        }
        self.bytes = bytes
        self.words = words
        switch alphabet {
        case .bytes: cuts = nil
        case .characters(let symbols):
            cuts = WordCuts(vocabulary: vocabulary, pairs: pairs, symbols: symbols, unknown: unknown)
        }
    }

    /// How many bytes the spelling of a token has; in byte-level BPE, how many bytes it stands for.
    func spelledCount(of id: TokenID) -> Int { bytes.count(of: id) }

    /// Appends the ids of a piece of text.
    @inline(__always)
    func encode(
        _ text: UnsafeBufferPointer<UInt8>, _ piece: PieceRange, scratch: inout EncodingScratch,
        into output: inout [TokenID]
    ) {
        guard let cuts else { return encodeWord(text, piece, scratch: &scratch, into: &output) }
        if ignoresMerges, let whole = token(for: text, piece) { return output.append(whole) }
        var start = piece.start
        while start < piece.end {
            let end = cuts.next(text, after: start, end: piece.end)
            encodeWord(text, PieceRange(start: start, end: end), scratch: &scratch, into: &output)
            start = end
        }
    }

    /// Appends the ids of one word; short words are remembered.
    @inline(__always)
    private func encodeWord(
        _ text: UnsafeBufferPointer<UInt8>, _ word: PieceRange, scratch: inout EncodingScratch,
        into output: inout [TokenID]
    ) {
        if word.end - word.start > WordCache.longestWord {
            return encodeUncached(text, word, scratch: &scratch, into: &output)
        }
        let key = WordCache.Key(text, word)
        if scratch.words.append(key, to: &output) { return }
        let start = output.count
        encodeUncached(text, word, scratch: &scratch, into: &output)
        scratch.words.store(key, output[start...])
    }

    @inline(never)
    private func encodeUncached(
        _ text: UnsafeBufferPointer<UInt8>, _ word: PieceRange, scratch: inout EncodingScratch,
        into output: inout [TokenID]
    ) {
        if cuts == nil, ignoresMerges, let whole = token(for: text, word) { return output.append(whole) }
        scratch.symbols.removeAll(keepingCapacity: true)
        switch alphabet {
        case .bytes(let tokens): appendSymbols(text, word, tokens, to: &scratch.symbols)
        case .characters(let symbols): appendSymbols(text, word, symbols, to: &scratch.symbols)
        }
        if scratch.symbols.count > Self.heapThreshold {
            mergeLong(&scratch, into: &output)
        } else {
            mergeShort(&scratch, into: &output)
        }
    }

    /// The token that stands for a whole word.
    private func token(for text: UnsafeBufferPointer<UInt8>, _ word: PieceRange) -> TokenID? {
        let content = UnsafeBufferPointer(rebasing: text[word.start..<word.end])
        return words.position(ByteHash.hash(content)) { bytes[TokenID($0)].elementsEqual(content) }.map { TokenID($0) }
    }

    private func appendSymbols(
        _ text: UnsafeBufferPointer<UInt8>, _ word: PieceRange, _ tokens: [TokenID], to output: inout [TokenID]
    ) {
        for at in word.start..<word.end {
            let token = tokens[Int(text[at])]
            if token >= 0 {
                output.append(token)
            } else if let unknown {
                let follows = at > word.start && tokens[Int(text[at - 1])] < 0
                if !(fusesUnknown && follows) { output.append(unknown) }
            }
        }
    }

    /// An unknown token is written when the next known character comes; bytes that stand for a character in between are
    /// written before it, as in the tokenizers library.
    private func appendSymbols(
        _ text: UnsafeBufferPointer<UInt8>, _ word: PieceRange, _ symbols: CharacterSymbols, to output: inout [TokenID]
    ) {
        var at = word.start
        var pending: TokenID?
        while at < word.end {
            let (value, end) = PieceText(text).scalar(at)
            let (isFirst, isLast) = (at == word.start, end == word.end)
            let token = symbols.token(of: value, isFirst: isFirst, isLast: isLast)
            if token >= 0 {
                if let unknown = pending { output.append(unknown) }
                pending = nil
                output.append(token)
            } else if let tokens = symbols.fallback(text[at..<end], isFirst: isFirst, isLast: isLast) {
                output += tokens
            } else if let unknown {
                if let earlier = pending, !fusesUnknown { output.append(earlier) }
                pending = unknown
            }
            at = end
        }
        if let unknown = pending { output.append(unknown) }
    }

    /// Looks for the best merge among all neighbours again after every merge.
    private func mergeShort(_ scratch: inout EncodingScratch, into output: inout [TokenID]) {
        let symbolCount = scratch.symbols.count
        scratch.merges.removeAll(keepingCapacity: true)
        for at in 0..<symbolCount {
            scratch.merges.append(
                at + 1 < symbolCount ? pairs.merge(scratch.symbols[at], scratch.symbols[at + 1]) : PairTable.none)
        }
        scratch.symbols.withUnsafeMutableBufferPointer { symbols in
            scratch.merges.withUnsafeMutableBufferPointer { merges in
                var count = symbolCount
                while count > 1 {
                    var best = 0
                    for at in 1..<count where merges[at] < merges[best] { best = at }
                    guard merges[best] != PairTable.none else { break }
                    symbols[best] = PairTable.id(merges[best])
                    count -= 1
                    for at in best + 1..<max(count, best + 1) {
                        symbols[at] = symbols[at + 1]
                        merges[at] = merges[at + 1]
                    }
                    merges[best] = best + 1 < count ? pairs.merge(symbols[best], symbols[best + 1]) : PairTable.none
                    if best > 0 { merges[best - 1] = pairs.merge(symbols[best - 1], symbols[best]) }
                }
                output.append(contentsOf: symbols[..<count])
            }
        }
    }

    /// Keeps the possible merges in a heap by rank, then position. Complexity: O(n log n).
    private func mergeLong(_ scratch: inout EncodingScratch, into output: inout [TokenID]) {
        let count = scratch.symbols.count
        scratch.previous = (0..<count).map { Int32($0 - 1) }
        scratch.next = (0..<count).map { Int32($0 + 1 < count ? $0 + 1 : -1) }
        scratch.heap.removeAll(keepingCapacity: true)
        for at in 0..<count - 1 { propose(at, &scratch) }
        while let best = scratch.heap.popSmallest() {
            let at = Int(best & 0xFFFF_FFFF)
            guard scratch.symbols[at] >= 0, scratch.next[at] >= 0 else { continue }
            let right = Int(scratch.next[at])
            let merge = pairs.merge(scratch.symbols[at], scratch.symbols[right])
            // An entry whose pair has changed since is out of date; a new one was made then.
            guard merge != PairTable.none, merge >> 32 == best >> 32 else { continue }
            scratch.symbols[at] = PairTable.id(merge)
            scratch.symbols[right] = -1
            scratch.next[at] = scratch.next[right]
            if scratch.next[at] >= 0 { scratch.previous[Int(scratch.next[at])] = Int32(at) }
            propose(at, &scratch)
            if scratch.previous[at] >= 0 { propose(Int(scratch.previous[at]), &scratch) }
        }
        for symbol in scratch.symbols where symbol >= 0 { output.append(symbol) }
    }

    /// Puts the merge of a symbol with its right neighbour on the heap.
    private func propose(_ at: Int, _ scratch: inout EncodingScratch) {
        guard scratch.next[at] >= 0 else { return }
        let merge = pairs.merge(scratch.symbols[at], scratch.symbols[Int(scratch.next[at])])
        if merge != PairTable.none { scratch.heap.pushHeap(merge & 0xFFFF_FFFF_0000_0000 | UInt64(at)) }
    }
}
