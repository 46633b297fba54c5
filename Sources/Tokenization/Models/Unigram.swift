/// A unigram language model: of all ways to cut a text into known pieces, the one with the highest sum of scores.
///
/// A character that no piece of its own stands for is unknown and costs more than any piece. Ties go to the piece that
/// starts first. [Kudo 2018](https://arxiv.org/abs/1804.10959)
struct Unigram: Sendable {
    /// The scores as they stand in the file.
    let writtenScores: [Double]
    private let scores: [Double]
    let unknown: TokenID
    private let trie: PieceTrie
    private let unknownScore: Double
    /// The token of each byte, −1 for none; empty without byte fallback.
    private let byteTokens: [TokenID]

    init(vocabulary: Vocabulary, scores: [Double], unknown: TokenID, fallsBackToBytes: Bool) {
        writtenScores = scores
        let scores = scores.map(\.asLibraryReadsIt)
        self.scores = scores
        self.unknown = unknown
        // Of equal pieces the last one counts.
        trie = PieceTrie(
            scores.indices.reversed().map { (Array((vocabulary.piece(of: TokenID($0)) ?? "").utf8), Int32($0)) })
        unknownScore = (scores.min() ?? 0) - 10
        byteTokens = fallsBackToBytes ? ByteFallback.tokens(vocabulary) : []
    }

    /// Where the best way to a position comes from.
    struct Node: Sendable {
        var score = 0.0
        var start = -1
        var id: TokenID = 0
    }

    /// Appends the ids of a piece of text; short pieces are remembered.
    func encode(_ text: PlacedText, _ word: PieceRange, scratch: inout EncodingScratch, to output: inout EncodingOutput) {
        if output.wantsRanges || word.end - word.start > WordCache.longestWord {
            return encodeUncached(text, word, scratch: &scratch, to: &output)
        }
        let key = WordCache.Key(text.bytes, word)
        if scratch.words.append(key, to: &output.ids) { return }
        let start = output.ids.count
        encodeUncached(text, word, scratch: &scratch, to: &output)
        scratch.words.store(key, output.ids[start...])
    }

    /// Wherever no piece reaches across a position, all ways lead through it: there the tokens so far are certain, and
    /// memory is needed only from one such position to the next. Scores are added up from the start of the text all the
    /// same, so that they are rounded as in one go.
    private func encodeUncached(
        _ text: PlacedText, _ word: PieceRange, scratch: inout EncodingScratch, to output: inout EncodingOutput
    ) {
        let bytes = text.bytes
        var emitter = UnigramEmitter(model: self, text: text)
        var (base, at, reach) = (word.start, word.start, word.start)
        scratch.nodes.removeAll(keepingCapacity: true)
        scratch.nodes.append(Node())
        while at < word.end {
            if at == reach, at > base {
                emitter.emit(scratch.nodes, base: base, to: &output)
                let score = scratch.nodes[at - base].score
                scratch.nodes.removeAll(keepingCapacity: true)
                scratch.nodes.append(Node(score: score))
                base = at
            }
            let next = PieceText(bytes).scalar(at).end
            let score = scratch.nodes[at - base].score
            var hasOwnPiece = false
            trie.forEachMatch(bytes, at, end: word.end) { end, value in
                Self.offer(Node(score: scores[Int(value)] + score, start: at, id: value), end - base, &scratch.nodes)
                if end == next { hasOwnPiece = true }
                reach = max(reach, end)
            }
            if !hasOwnPiece {
                Self.offer(Node(score: unknownScore + score, start: at, id: unknown), next - base, &scratch.nodes)
                reach = max(reach, next)
            }
            at = next
        }
        emitter.emit(scratch.nodes, base: base, to: &output)
        emitter.finish(&output)
    }

    @inline(__always)
    private static func offer(_ node: Node, _ position: Int, _ nodes: inout [Node]) {
        while nodes.count <= position { nodes.append(Node()) }
        if nodes[position].start < 0 || node.score > nodes[position].score { nodes[position] = node }
    }

    /// The ids of a run of unknown characters: a token that is spelled so after all, the tokens of its bytes, or one
    /// unknown token.
    fileprivate func idsOfUnknown(_ bytes: UnsafeBufferPointer<UInt8>, _ run: PieceRange) -> [TokenID] {
        if let match = trie.longestMatch(bytes, run.start, end: run.end), match.end == run.end {
            return [match.value]
        }
        let content = bytes[run.start..<run.end]
        if !byteTokens.isEmpty, content.allSatisfy({ byteTokens[Int($0)] >= 0 }) {
            return content.map { byteTokens[Int($0)] }
        }
        return [unknown]
    }
}

/// Writes out the best way, taking neighbouring unknown characters together.
private struct UnigramEmitter {
    let model: Unigram
    let text: PlacedText
    private var unknownRun: PieceRange?
    private var path: [PieceRange] = []
    private var ids: [TokenID] = []

    init(model: Unigram, text: PlacedText) {
        self.model = model
        self.text = text
    }

    /// Walks back from the last node and writes the tokens in the order of the text.
    mutating func emit(_ nodes: [Unigram.Node], base: Int, to output: inout EncodingOutput) {
        var end = nodes.count - 1
        path.removeAll(keepingCapacity: true)
        ids.removeAll(keepingCapacity: true)
        while end > 0, nodes[end].start >= base {
            let node = nodes[end]
            path.append(PieceRange(start: node.start, end: base + end))
            ids.append(node.id)
            end = node.start - base
        }
        for at in ids.indices.reversed() {
            if ids[at] == model.unknown {
                unknownRun = PieceRange(start: unknownRun?.start ?? path[at].start, end: path[at].end)
                continue
            }
            finish(&output)
            output.append(ids[at], path[at], of: text)
        }
    }

    mutating func finish(_ output: inout EncodingOutput) {
        guard let run = unknownRun else { return }
        unknownRun = nil
        let ids = model.idsOfUnknown(text.bytes, run)
        guard ids.count == run.end - run.start, ids.count > 1 else {
            for id in ids { output.append(id, run, of: text) }
            return
        }
        for (offset, id) in ids.enumerated() {
            output.append(id, PieceRange(start: run.start + offset, end: run.start + offset + 1), of: text)
        }
    }
}
