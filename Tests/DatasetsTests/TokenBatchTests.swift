import Datasets
import Testing

@Test func batchShiftsLabelsWithinEachSequence() {
    let batch = TokenBatch([
        EncodedExample(ids: [10, 11, 12], labels: [-100, 11, 12]), EncodedExample(ids: [20, 21], labels: [20, 21]),
        EncodedExample(ids: [30], labels: [30]),
    ])
    #expect(batch.tokens == [10, 11, 12, 20, 21, 30])
    #expect(batch.targets == [11, 12, -100, 21, -100, -100])
    #expect(batch.positions == [0, 1, 2, 0, 1, 0])
    #expect(batch.sequenceOffsets == [0, 3, 5, 6])
    #expect(batch.supervisedCount == 3)
    #expect(batch.tokenCount == 6)
    #expect(batch.sequenceCount == 3)
    #expect(batch.streamOffset == 0)
}

@Test func firstTokenIsNeverTrained() {
    let example = EncodedExample(ids: [5, 6, 7])
    #expect(example.labels == [-100, 6, 7])
    #expect(example.supervisedCount == 2)
}

@Test func supervisedCountOfBatchIsThatOfItsExamples() {
    let examples = randomExamples(count: 50, seed: 3)
    let batch = TokenBatch(examples)
    #expect(batch.supervisedCount == examples.reduce(0) { $0 + $1.supervisedCount })
    #expect(batch.supervisedCount == batch.targets.count { $0 != TokenBatch.ignoredLabel })
}

@Test func datasetGivesBackWhatItWasGiven() {
    let (first, second) = (randomExamples(count: 7, seed: 1), randomExamples(count: 5, seed: 2))
    var dataset = EncodedDataset(first, source: "a.jsonl")
    dataset.append(contentsOf: EncodedDataset(second, source: "b.jsonl"))
    #expect(dataset.count == 12)
    #expect((0..<12).map { dataset[$0] } == first + second)
    #expect(
        (0..<12).map { dataset.source(of: $0) } == Array(repeating: "a.jsonl", count: 7)
            + Array(repeating: "b.jsonl", count: 5))
    #expect(dataset.lengths == (first + second).map { Int32($0.ids.count) })
    #expect(dataset.tokenCount == dataset.lengths.reduce(0) { $0 + Int($1) })
    #expect(dataset.batch(of: [8, 2], streamOffset: 9) == TokenBatch([second[1], first[2]], streamOffset: 9))
}

@Test func fingerprintChangesWithAnythingTrained() {
    func bytes(_ dataset: EncodedDataset) -> [UInt8] {
        var all: [UInt8] = []
        dataset.feedFingerprint { all += Array($0) }
        return all
    }
    let base = bytes(EncodedDataset([EncodedExample(ids: [1, 2, 3]), EncodedExample(ids: [4, 5])]))
    #expect(
        base == bytes(EncodedDataset([EncodedExample(ids: [1, 2, 3]), EncodedExample(ids: [4, 5])], source: "x")))
    let others = [
        [EncodedExample(ids: [1, 2]), EncodedExample(ids: [3, 4, 5])],
        [EncodedExample(ids: [1, 2, 3], labels: [-100, -100, 3]), EncodedExample(ids: [4, 5])],
        [EncodedExample(ids: [1, 2, 6]), EncodedExample(ids: [4, 5])],
        [EncodedExample(ids: [4, 5]), EncodedExample(ids: [1, 2, 3])], [EncodedExample(ids: [1, 2, 3])],
    ]
    for other in others { #expect(bytes(EncodedDataset(other)) != base) }
}

/// Examples of random ids and masks, each with at least one trained token.
func randomExamples(count: Int, seed: UInt64) -> [EncodedExample] {
    var numbers = TestNumbers(seed)
    return (0..<count).map { line in
        let length = numbers.next(in: 2...40)
        let ids = (0..<length).map { _ in Int32(numbers.next(in: 0...999)) }
        var labels = ids.map { numbers.next(in: 0...2) == 0 ? TokenBatch.ignoredLabel : $0 }
        labels[length - 1] = ids[length - 1]
        return EncodedExample(ids: ids, labels: labels, line: line + 1)
    }
}
