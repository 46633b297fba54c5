import Datasets
import Foundation
import Testing

private let dataset = EncodedDataset(randomExamples(count: 101, seed: 21))
private let options = BatchOptions(size: .tokens(64), seed: 3)

private func stream(epochs: Int?, cursor: DataCursor = DataCursor(), steps: Int = 4) throws -> BatchStream {
    try BatchStream(
        dataset: dataset, options: options, accumulationSteps: steps, epochs: epochs, cursor: cursor)
}

@Test func streamVisitsEverythingOncePerEpoch() throws {
    var stream = try stream(epochs: 3)
    for epoch in 0..<3 {
        var tokens = 0
        var supervised = 0
        let windows = try stream.windowsPerEpoch(epoch)
        for window in 0..<windows {
            #expect(stream.cursor == DataCursor(epoch: epoch, nextBatch: window * 4))
            let next = try stream.nextWindow()
            let batches = try #require(next)
            #expect(batches.count == 4 || window == windows - 1)
            tokens += batches.tokenCount
            supervised += batches.supervisedCount
        }
        #expect(tokens == dataset.tokenCount)
        #expect(supervised == dataset.supervisedCount)
    }
    for _ in 0..<2 {
        let past = try stream.nextWindow()
        #expect(past == nil)
        #expect(stream.cursor == DataCursor(epoch: 3))
    }
}

@Test func streamOffsetCountsEarlierTokensOfTheStep() throws {
    var stream = try stream(epochs: 1)
    while let window = try stream.nextWindow() {
        var before = 0
        for batch in window {
            #expect(batch.streamOffset == before)
            before += batch.tokenCount
        }
    }
}

@Test func restoredCursorGoesOnAsIfNothingHadHappened() throws {
    var whole = try stream(epochs: nil)
    var cursors: [DataCursor] = []
    var windows: [[TokenBatch]] = []
    for _ in 0..<60 {
        cursors.append(whole.cursor)
        let next = try whole.nextWindow()
        windows.append(try #require(next))
    }
    #expect(whole.cursor.epoch >= 2)
    for start in stride(from: 0, to: 60, by: 7) {
        let saved = try JSONEncoder().encode(cursors[start])
        let cursor = try JSONDecoder().decode(DataCursor.self, from: saved)
        var resumed = try stream(epochs: nil, cursor: cursor)
        for window in start..<60 {
            let next = try resumed.nextWindow()
            #expect(next == windows[window])
        }
        #expect(resumed.cursor == whole.cursor)
    }
}

@Test func cursorAtTheEndOfAnEpochStartsTheNext() throws {
    var atEnd = try stream(epochs: 2)
    for _ in 0..<(try atEnd.windowsPerEpoch(0)) { _ = try atEnd.nextWindow() }
    #expect(atEnd.cursor == DataCursor(epoch: 1))
    let batches = BatchPlan(lengths: dataset.lengths, options: options, epoch: 0).count
    let other = try stream(epochs: 2, cursor: DataCursor(epoch: 0, nextBatch: batches))
    #expect(other.cursor == DataCursor(epoch: 1))
}

@Test func accumulationDoesNotChangeTheOrderOfBatches() throws {
    var (one, many) = (try stream(epochs: 2, steps: 1), try stream(epochs: 2, steps: 5))
    var (first, second): ([[Int32]], [[Int32]]) = ([], [])
    while let window = try one.nextWindow() { first += window.map(\.tokens) }
    while let window = try many.nextWindow() { second += window.map(\.tokens) }
    #expect(first == second)
}

@Test func windowsOfAnyEpochCanBeAsked() throws {
    let stream = try stream(epochs: 4)
    for epoch in 0..<4 {
        let batches = BatchPlan(lengths: dataset.lengths, options: options, epoch: epoch).count
        #expect(try stream.windowsPerEpoch(epoch) == (batches + 3) / 4)
    }
}

@Test func cursorThatDoesNotFitIsRefused() throws {
    for cursor in [DataCursor(epoch: 0, nextBatch: 9999), DataCursor(epoch: -1), DataCursor(epoch: 0, nextBatch: -1)] {
        #expect(throws: DatasetProblem.self) { try stream(epochs: 1, cursor: cursor) }
    }
    #expect(throws: DatasetProblem.self) {
        try BatchStream(dataset: EncodedDataset(), options: options, accumulationSteps: 1, epochs: 1)
    }
}

/// The checksum of an older checkpoint is that of a cursor without a stretch.
@Test func cursorsOfDataInMemoryAreWrittenAsEver() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let old = #"{"epoch":2,"nextBatch":5}"#
    let cursor = try JSONDecoder().decode(DataCursor.self, from: Data(old.utf8))
    #expect(cursor == DataCursor(epoch: 2, nextBatch: 5))
    #expect(String(decoding: try encoder.encode(cursor), as: UTF8.self) == old)
    let later = DataCursor(epoch: 2, stretch: 3, nextBatch: 5)
    #expect(try JSONDecoder().decode(DataCursor.self, from: encoder.encode(later)) == later)
}
