/// Byte-level byte-pair encoding: a word starts as its bytes, and neighbours are joined in the order of the merges.
struct BytePairEncoding: Sendable {
    /// The token of each byte; −1 where the vocabulary has none.
    let byteTokens: [TokenID]
    let pairs: PairTable
    /// A word that is a token as a whole is taken as that token, whatever the merges say.
    let ignoresMerges: Bool
    /// The token for bytes that have none; without it such bytes are dropped.
    let unknown: TokenID?
    /// Takes neighbouring unknown bytes for one token.
    let fusesUnknown: Bool
    /// Whole words by their bytes, for `ignoresMerges`.
    private let words: HashIndex
    private let bytes: TokenBytes

    /// Words with more symbols than this are merged with a heap, whose cost grows more slowly.
    private static let heapThreshold = 48

    init(
        vocabulary: Vocabulary, pairs: PairTable, ignoresMerges: Bool, unknown: TokenID?, fusesUnknown: Bool
    ) {
        self.pairs = pairs
        self.ignoresMerges = ignoresMerges
        self.unknown = unknown
        self.fusesUnknown = fusesUnknown
        byteTokens = (0...255).map { (byte: UInt8) in
            vocabulary.id(of: ByteLevelAlphabet.piece(for: CollectionOfOne(byte))) ?? -1
        }
        var bytes = TokenBytes()
        var words = HashIndex(capacity: ignoresMerges ? vocabulary.count : 0)
        for id in 0..<vocabulary.size {
            bytes.append { storage in
                let start = storage.count
                guard let piece = vocabulary.piece(of: TokenID(id)),
                    ByteLevelAlphabet.appendBytes(of: piece, to: &storage), ignoresMerges
                else { return }
                storage[start...].withUnsafeBufferPointer { words.insert(ByteHash.hash($0), id) }
            }
        }
        self.bytes = bytes
        self.words = words
    }

    /// How many bytes a token stands for.
    func byteCount(of id: TokenID) -> Int { bytes.count(of: id) }

    /// Appends the ids of one word.
    @inline(__always)
    func encode(
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
        let content = UnsafeBufferPointer(rebasing: text[word.start..<word.end])
        if ignoresMerges {
            let whole = words.position(ByteHash.hash(content)) { bytes[TokenID($0)].elementsEqual(content) }
            if let whole { return output.append(TokenID(whole)) }
        }
        scratch.symbols.removeAll(keepingCapacity: true)
        for (at, byte) in content.enumerated() {
            let token = byteTokens[Int(byte)]
            if token >= 0 {
                scratch.symbols.append(token)
            } else if let unknown {
                let follows = at > 0 && byteTokens[Int(content[at - 1])] < 0
                if !(fusesUnknown && follows) { scratch.symbols.append(unknown) }
            }
        }
        if scratch.symbols.count > Self.heapThreshold {
            mergeLong(&scratch, into: &output)
        } else {
            mergeShort(&scratch, into: &output)
        }
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
