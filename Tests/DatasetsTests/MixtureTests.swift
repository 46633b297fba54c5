import Datasets
import Testing

private func visits(_ weights: [Double], counts: [Int], epochs: Int, shuffle: Bool = true) -> [[Int]] {
    let lengths = [Int32](repeating: 1, count: counts.reduce(0, +))
    return (0..<epochs).map { epoch in
        let options = BatchOptions(size: .sequences(3), shuffle: shuffle, seed: 4, weights: weights)
        let plan = BatchPlan(lengths: lengths, sourceCounts: counts, options: options, epoch: epoch)
        return (0..<plan.count).flatMap { plan[$0].map(Int.init) }
    }
}

@Test func wholeWeightsRepeatAndFractionsTakeTurns() {
    let epochs = visits([2, 0.5, 1, 0.25], counts: [5, 10, 4, 8], epochs: 8)
    for epoch in epochs {
        for example in 0..<5 { #expect(epoch.count { $0 == example } == 2) }
        #expect(epoch.count { (5..<15).contains($0) } == 5)
        for example in 15..<19 { #expect(epoch.count { $0 == example } == 1) }
        #expect(epoch.count { $0 >= 19 } == 2)
    }
    // Two halves make a whole, four quarters too.
    for pair in stride(from: 0, to: 8, by: 2) {
        #expect((epochs[pair] + epochs[pair + 1]).filter { (5..<15).contains($0) }.sorted() == Array(5..<15))
    }
    for four in [0, 4] {
        #expect(epochs[four..<four + 4].joined().filter { $0 >= 19 }.sorted() == Array(19..<27))
    }
    #expect(Set(epochs[0].filter { (5..<15).contains($0) }) != Set(epochs[2].filter { (5..<15).contains($0) }))
}

@Test func unevenWeightsEvenOutOverTheEpochs() {
    let epochs = visits([1.7], counts: [11], epochs: 50)
    #expect(epochs.reduce(0) { $0 + $1.count } == 935)
    for example in 0..<11 { #expect(epochs.joined().count { $0 == example } == 85) }
}

@Test func evenWeightsAreTheSameAsNone() {
    #expect(visits([1, 1], counts: [7, 9], epochs: 3) == visits([], counts: [7, 9], epochs: 3))
    #expect(visits([1, 1], counts: [2, 3], epochs: 1, shuffle: false) == [[0, 1, 2, 3, 4]])
    #expect(visits([0.5], counts: [4], epochs: 3, shuffle: false) == [[0, 1], [2, 3], [0, 1]])
}

@Test func everyEpochHasSomethingToVisit() {
    for epoch in visits([0.001], counts: [3], epochs: 5) { #expect(epoch.count == 1) }
}

@Test func tokensOfEachSourceAreCounted() throws {
    var dataset = EncodedDataset(randomExamples(count: 20, seed: 1), source: "a")
    dataset.append(contentsOf: EncodedDataset(randomExamples(count: 30, seed: 2), source: "b"))
    let options = BatchOptions(size: .tokens(64), seed: 3, weights: [3, 1])
    var stream = try BatchStream(dataset: dataset, options: options, accumulationSteps: 2, epochs: 1)
    #expect(stream.windowTokens == [0, 0])
    var sums = [0, 0]
    while let window = try stream.nextWindow() {
        #expect(stream.windowTokens.reduce(0, +) == window.tokenCount)
        sums = zip(sums, stream.windowTokens).map { $0 + $1 }
    }
    let tokens = dataset.sourceRanges.map { dataset.lengths[$0].reduce(0) { $0 + Int($1) } }
    #expect(sums == [3 * tokens[0], tokens[1]])
}

@Test func duplicatesAreRemovedAcrossSources() {
    let (first, second) = (randomExamples(count: 6, seed: 1), randomExamples(count: 4, seed: 2))
    var dataset = EncodedDataset(first + [first[2]], source: "a")
    dataset.append(contentsOf: EncodedDataset([second[0], first[0], second[1], second[0]], source: "b"))
    // The same tokens trained otherwise are another example.
    let other = EncodedExample(ids: first[0].ids, labels: first[0].ids.map { _ in TokenBatch.ignoredLabel })
    dataset.append(other)
    #expect(dataset.removeDuplicates() == [1, 2])
    #expect((0..<dataset.count).map { dataset[$0].ids } == (first + [second[0], second[1], other]).map(\.ids))
    #expect(dataset.sources == ["a", "b"] && dataset.sourceRanges == [0..<6, 6..<9])
    #expect(dataset.removeDuplicates() == [0, 0])
}

@Test func validationExamplesThatAreTrainedOnAreFound() {
    let examples = randomExamples(count: 9, seed: 3)
    let train = EncodedDataset(Array(examples[..<6]))
    let masked = EncodedExample(ids: examples[1].ids)
    let validation = EncodedDataset([examples[8], masked, examples[7], examples[5]])
    #expect(validation.examples(alsoIn: train) == [1, 3])
    #expect(validation.examples(alsoIn: EncodedDataset()).isEmpty)
}
