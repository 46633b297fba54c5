import Datasets
import Testing

/// Batches fall into pieces between sequences, and nothing is lost.
@Test(arguments: [1, 7, 20, 40, 64, 1000]) func piecesHoldTheSameSequences(limit: Int) {
    let examples = randomExamples(count: 30, seed: 5)
    let dataset = EncodedDataset(examples, source: "d.jsonl")
    let batch = dataset.batch(of: Array(0..<30), streamOffset: 11)
    let pieces = batch.pieces(ofAtMost: limit)
    #expect(pieces.flatMap(\.tokens) == batch.tokens)
    #expect(pieces.flatMap(\.targets) == batch.targets)
    #expect(pieces.flatMap(\.positions) == batch.positions)
    #expect(pieces.flatMap(\.records) == batch.records)
    #expect(pieces.reduce(0) { $0 + $1.supervisedCount } == batch.supervisedCount)
    #expect(pieces.allSatisfy { $0.tokenCount <= limit || $0.sequenceCount == 1 })
    var offset = 11
    for piece in pieces {
        #expect(piece.streamOffset == offset)
        offset += piece.tokenCount
    }
    // No two neighbours would have fitted together.
    for (left, right) in zip(pieces, pieces.dropFirst()) {
        #expect(left.tokenCount + Int(right.sequenceOffsets[1]) > limit)
    }
    #expect(batch.sequences.count == 30 && batch.sequences.flatMap(\.tokens) == batch.tokens)
    #expect(batch.records[3] == RecordPlace(file: "d.jsonl", line: examples[3].line))
}
