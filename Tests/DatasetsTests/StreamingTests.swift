import Datasets
import Foundation
import Testing
import Tokenization

/// Data that stay on disk: the same examples as in memory, in an order of their own.
@Suite struct StreamingTests {
    private let encoder = ExampleEncoder(tokenizer: nil, template: nil, vocabularySize: 1000)

    /// A folder that is deleted when the body returns.
    private func withFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder)
    }

    /// Records of token ids, some of them the same, as JSON lines.
    private func lines(_ count: Int, seed: UInt64, distinct: Int = .max) -> String {
        randomExamples(count: min(count, distinct), seed: seed).repeated(count).map { example in
            #"{"input_ids": \#(example.ids), "labels": \#(example.labels)}"#
        }.joined(separator: "\n")
    }

    private func reader(_ text: String, _ folder: URL, name: String = "\(UUID()).jsonl") throws -> DatasetReader {
        let file = folder.appendingPathComponent(name)
        try Data(text.utf8).write(to: file)
        return try DatasetReader(path: file.path)
    }

    private func stored(_ reader: DatasetReader, _ folder: URL, onError: ErrorPolicy = .stop) throws -> TokenStore {
        let place = folder.appendingPathComponent("\(UUID())")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: false)
        try encoder.store(reader, in: place, onError: onError, loop: concurrently)
        return try TokenStore(place, source: reader.path)
    }

    /// Delivers out of order, as threads do.
    private func concurrently(_ count: Int, _ body: (Int) -> Void) {
        for number in (0..<count).reversed() { body(number) }
    }

    private func indexed(_ reader: DatasetReader, _ folder: URL, onError: ErrorPolicy = .stop) throws -> IndexedRecords {
        let place = folder.appendingPathComponent("\(UUID())")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: false)
        try RecordIndex.build(reader, in: place)
        return try IndexedRecords(reader, index: RecordIndex(place), encoder: encoder, onError: onError) { _ in }
    }

    private func inMemory(_ reader: DatasetReader) throws -> EncodedDataset {
        var dataset = EncodedDataset()
        _ = try encoder.encode(reader, onError: .skip, into: &dataset)
        return dataset
    }

    private func stream(_ stores: [any RecordStore], _ options: BatchOptions, epochs: Int?, cursor: DataCursor = .init()) throws
        -> BatchStream
    {
        let supply = StreamedExamples(stores, options: options, stretchLength: 37)
        return try BatchStream(supply: supply, accumulationSteps: 4, epochs: epochs, cursor: cursor)
    }

    // MARK: Orders

    @Test(arguments: [0, 1, 2, 3, 5, 16, 17, 100, 4097]) func permutationsVisitEverythingOnce(count: Int) {
        let order = Permutation(count: count, seed: 1, stream: 2)
        let numbers = (0..<count).map { order[$0] }
        #expect(numbers.sorted() == Array(0..<count))
        guard count > 16 else { return }
        #expect(numbers != (0..<count).map { Permutation(count: count, seed: 1, stream: 3)[$0] })
        #expect(numbers != (0..<count).map { Permutation(count: count, seed: 2, stream: 2)[$0] })
        // Neighbours are torn apart.
        #expect(zip(numbers, numbers.dropFirst()).count { abs($0 - $1) == 1 } < count / 8 + 3)
    }

    // MARK: Stores

    @Test func aStoreGivesBackWhatWasEncoded() throws {
        try withFolder { folder in
            let reader = try reader(lines(300, seed: 4), folder)
            let (store, dataset) = (try stored(reader, folder), try inMemory(reader))
            #expect(store.recordCount == 300 && store.exampleCount == 300)
            for record in 0..<300 {
                #expect(try store.examples(of: record) == [dataset[record]])
                #expect(try store.lengths(of: record) == [dataset.lengths[record]])
            }
            #expect(store.summary.tokens == dataset.tokenCount)
            #expect(store.summary.supervisedTokens == dataset.supervisedCount)
        }
    }

    /// Labels that are not the ids, weights, records of several examples and of none.
    @Test func everyKindOfRecordIsStored() throws {
        let template = "{% for message in messages[-2:] %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}"
        let encoder = ExampleEncoder(
            tokenizer: try Fixtures.smollm2(), template: try ChatTemplate(template), options: EncodingOptions())
        let turns = ["a", "b", "c"].map {
            #"{"role": "user", "content": "\#($0)?"}, {"role": "assistant", "content": "\#($0)!", "weight": 0.5}"#
        }
        let texts = [
            #"{"messages": [\#(turns[0])]}"#, #"{"messages": [\#(turns.joined(separator: ", "))]}"#,
            #"{"messages": [{"role": "user", "content": "no answer"}]}"#, #"{"messages": [\#(turns[2])]}"#,
        ]
        try withFolder { folder in
            let reader = try reader(texts.joined(separator: "\n"), folder)
            let place = folder.appendingPathComponent("store")
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: false)
            try encoder.store(reader, in: place, onError: .skip, loop: concurrently)
            let store = try TokenStore(place, source: "s")
            let expected = reader.records().map { record in
                ((try? encoder.encode(record.get())) ?? []).compactMap(\.example)
            }
            #expect(try (0..<store.recordCount).map { try store.examples(of: $0) } == Array(expected))
            #expect(Array(expected).map(\.count) == [1, 3, 0, 1])
            let first = try store.examples(of: 0)
            #expect(first.first?.weights?.contains(0.5) == true)
            #expect(try (0..<4).map { try store.lengths(of: $0).count } == [1, 3, 0, 1])
            #expect(store.summary.skipped == 1 && store.skipped.map(\.line) == [3])
            #expect(store.skipped[0].description.contains("no assistant message"))
            #expect(store.summary.source == "s")
        }
    }

    @Test func otherLabelsThanIdsAreStored() throws {
        try withFolder { folder in
            let text = #"{"input_ids": [1, 2, 3, 4], "labels": [-100, 7, -100, 9]}"#
            let examples = try stored(reader(text, folder), folder).examples(of: 0)
            #expect(examples.map(\.labels) == [[-100, 7, -100, 9]])
        }
    }

    @Test func damageIsFound() throws {
        try withFolder { folder in
            let reader = try reader(lines(40, seed: 4), folder)
            let place = folder.appendingPathComponent("store")
            func fresh() throws {
                try? FileManager.default.removeItem(at: place)
                try FileManager.default.createDirectory(at: place, withIntermediateDirectories: false)
                try encoder.store(reader, in: place, onError: .stop, loop: concurrently)
            }
            func readAll() throws {
                let store = try TokenStore(place, source: "s")
                for record in 0..<40 { _ = try store.examples(of: record) }
            }
            for file in ["tokens.bin", "index.bin", "store.json"] {
                try fresh()
                try readAll()
                var bytes = try Data(contentsOf: place.appendingPathComponent(file))
                bytes[bytes.count / 2] ^= 4
                if file == "store.json" { bytes = bytes.prefix(bytes.count / 2) }
                try bytes.write(to: place.appendingPathComponent(file))
                let problem = #expect(throws: DatasetProblem.self, "\(file)") { try readAll() }
                #expect(problem?.code == "damaged_cache" && problem?.description.contains("cache prune") == true)
            }
            for file in ["tokens.bin", "index.bin", "hashes.bin"] {
                try fresh()
                let bytes = try Data(contentsOf: place.appendingPathComponent(file))
                try bytes.dropLast(4).write(to: place.appendingPathComponent(file))
                #expect(throws: DatasetProblem.self, "\(file)") { try readAll() }
            }
        }
    }

    @Test(arguments: ["a.jsonl", "a.json", "a.csv"]) func anIndexFindsEveryRecord(name: String) throws {
        try withFolder { folder in
            let texts = (0..<200).map { "text number \($0)\($0 % 7 == 0 ? " — with \"more\", and a\\nline" : "")" }
            let quoted = texts.map { $0.replacingOccurrences(of: "\"", with: "\\\"") }
            let content: String
            switch name {
            case "a.jsonl": content = "\u{FEFF}\n" + quoted.map { "{\"text\": \"\($0)\"}" }.joined(separator: "\r\n\n  ")
            case "a.json": content = "\n[" + quoted.map { "{\"text\": \"\($0)\"}" }.joined(separator: "\n,\n ") + "]\n"
            default:
                content = "text\n" + texts.map { "\"\($0.replacingOccurrences(of: "\"", with: "\"\""))\n\"" }.joined(separator: "\n")
            }
            let reader = try reader(content, folder, name: name)
            let encoder = ExampleEncoder(tokenizer: try Fixtures.smollm2(), template: nil)
            let place = folder.appendingPathComponent("index")
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: false)
            try RecordIndex.build(reader, in: place)
            let records = try IndexedRecords(reader, index: RecordIndex(place), encoder: encoder, onError: .stop) { _ in }
            var dataset = EncodedDataset()
            _ = try encoder.encode(reader, into: &dataset)
            #expect(records.recordCount == 200 && dataset.count == 200)
            for record in 0..<200 { #expect(try records.examples(of: record) == [dataset[record]]) }
        }
    }

    // MARK: Batches

    private static let allOptions = [
        BatchOptions(size: .tokens(64), seed: 3), BatchOptions(size: .tokens(64), packing: false, seed: 4),
        BatchOptions(size: .sequences(3), seed: 5), BatchOptions(size: .tokens(64), shuffle: false),
        BatchOptions(size: .tokens(64), seed: 3, weights: [2, 0.5]),
    ]

    @Test(arguments: allOptions) func everyEpochVisitsWhatTheWeightsSay(options: BatchOptions) throws {
        try withFolder { folder in
            let readers = [try reader(lines(150, seed: 1), folder), try reader(lines(90, seed: 2), folder)]
            let stores = try readers.map { try stored($0, folder) }
            let datasets = try readers.map { try inMemory($0) }
            var stream = try stream(stores, options, epochs: 2)
            let weights = options.weights.isEmpty ? [1, 1] : options.weights
            var orders: [[[Int32]]] = []
            for epoch in 0..<2 {
                var (windows, visits): (Int, [[Int32]: Int]) = (0, [:])
                var (tokens, order): ([Int], [[Int32]]) = ([0, 0], [])
                while stream.cursor.epoch == epoch, let window = try stream.nextWindow() {
                    windows += 1
                    for (source, count) in stream.windowTokens.enumerated() { tokens[source] += count }
                    for batch in window {
                        for (start, end) in zip(batch.sequenceOffsets, batch.sequenceOffsets.dropFirst()) {
                            visits[Array(batch.tokens[Int(start)..<Int(end)]), default: 0] += 1
                            order.append(Array(batch.tokens[Int(start)..<Int(end)]))
                        }
                    }
                }
                let counted = try stream.windowsPerEpoch(epoch)
                #expect(windows == counted)
                let (first, second) = (visits.filter { datasets[0].holds($0.key) }, visits.filter { datasets[1].holds($0.key) })
                #expect(first.count == 150 && first.values.allSatisfy { $0 == Int(weights[0]) })
                #expect(second.count == Int((90 * weights[1]).rounded()) && second.values.allSatisfy { $0 == 1 })
                #expect(tokens[0] == Int(weights[0]) * datasets[0].tokenCount)
                orders.append(order)
            }
            #expect((orders[0] == orders[1]) == !options.shuffle)
            let past = try stream.nextWindow()
            #expect(past == nil)
        }
    }

    @Test(arguments: allOptions) func storesAndIndexesGiveTheSameBatchesFromAnyPlace(options: BatchOptions) throws {
        try withFolder { folder in
            // Line 5 is broken, line 9 has an id outside the vocabulary.
            let text = lines(4, seed: 9) + "\n{\"input_ids\"\n" + lines(3, seed: 8) + "\n{\"input_ids\": [1, 5000]}\n" + lines(120, seed: 1)
            let readers = [try reader(text, folder), try reader(lines(60, seed: 2), folder)]
            let stores = try readers.map { try stored($0, folder, onError: .skip) }
            let indexes = try readers.map { try indexed($0, folder, onError: .skip) }
            #expect(stores[0].recordCount == 129 && stores[0].exampleCount == 127 && indexes[0].recordCount == 129)
            var (a, b) = (try stream(stores, options, epochs: nil), try stream(indexes, options, epochs: nil))
            var (cursors, windows): ([DataCursor], [[TokenBatch]]) = ([], [])
            for _ in 0..<50 {
                cursors.append(a.cursor)
                let (left, right) = (try a.nextWindow(), try b.nextWindow())
                #expect(left == right && a.cursor == b.cursor && a.windowTokens == b.windowTokens)
                windows.append(try #require(left))
            }
            #expect(cursors.contains { $0.stretch > 1 } && a.cursor.epoch >= 1)
            for start in stride(from: 0, to: 50, by: 7) {
                var resumed = try stream(start % 2 == 0 ? stores : indexes, options, epochs: nil, cursor: cursors[start])
                for window in start..<min(50, start + 12) {
                    let next = try resumed.nextWindow()
                    #expect(next == windows[window])
                }
            }
        }
    }

    @Test func brokenRecordsStopWhereTheyAreMet() throws {
        try withFolder { folder in
            let reader = try reader(lines(4, seed: 9) + "\n{\"input_ids\"\n" + lines(90, seed: 8), folder)
            let problem = #expect(throws: DatasetProblem.self) { try stored(reader, folder) }
            #expect(problem?.line == 5)
            let later = #expect(throws: DatasetProblem.self) {
                var stream = try stream([indexed(reader, folder)], BatchOptions(size: .tokens(64)), epochs: 1)
                while try stream.nextWindow() != nil {}
            }
            #expect(later?.line == 5)
        }
    }

    @Test func aFileThatChangesWhileItIsReadIsNamed() throws {
        try withFolder { folder in
            let reader = try reader(lines(90, seed: 8), folder)
            let records = try indexed(reader, folder)
            _ = try records.examples(of: 80)
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: reader.path))
            try file.write(contentsOf: Data("      ".utf8))
            try file.truncate(atOffset: 100)
            let problem = #expect(throws: DatasetProblem.self) { try records.examples(of: 80) }
            #expect(problem?.kind == .changed)
        }
    }

    @Test func fewOfManyFilesAreOpenAtATime() throws {
        try withFolder { folder in
            for number in 0..<100 {
                let place = folder.appendingPathComponent("part\(number).jsonl")
                try Data("{\"input_ids\": [\(number), 1]}\n{\"input_ids\": [\(number), 2]}".utf8).write(to: place)
            }
            let reader = try DatasetReader(path: folder.path)
            let records = try indexed(reader, folder)
            for record in [0, 199, 100, 101, 1] + Array(0..<200) {
                let (name, ids) = (reader.files[record / 2], try records.examples(of: record)[0].ids)
                #expect(name.hasSuffix("/part\(ids[0]).jsonl") && ids[1] == Int32(record % 2 + 1))
            }
            let links = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
            }
            let name = folder.lastPathComponent
            #expect(links.count { $0.contains(name) && $0.hasSuffix(".jsonl") } < 20)
            // A file that is not open may have changed, too.
            try Data("{\"input_ids\": [7, 3, 5]}".utf8).write(to: URL(fileURLWithPath: reader.files[3]))
            let problem = #expect(throws: DatasetProblem.self) { try records.examples(of: 6) }
            #expect(problem?.kind == .changed && problem?.file == reader.files[3])
        }
    }

    @Test func aPositionElsewhereIsRefused() throws {
        try withFolder { folder in
            let stores = [try stored(reader(lines(90, seed: 8), folder), folder)]
            for cursor in [DataCursor(stretch: 9), DataCursor(nextBatch: 999), DataCursor(stretch: -1)] {
                #expect(throws: DatasetProblem.self) {
                    try stream(stores, BatchOptions(size: .tokens(64)), epochs: 1, cursor: cursor)
                }
            }
        }
    }

    // MARK: Comparing

    @Test(arguments: [7, 1 << 20]) func duplicatesAreFoundAsInMemory(limit: Int) throws {
        try withFolder { folder in
            let readers = [
                try reader(lines(80, seed: 1, distinct: 50), folder), try reader(lines(60, seed: 1, distinct: 55), folder),
            ]
            var stores = try readers.map { try stored($0, folder) }
            var dataset = EncodedDataset()
            for reader in readers { dataset.append(contentsOf: try inMemory(reader)) }
            let removed = dataset.removeDuplicates()
            #expect(removed == [30, 55])
            try TokenStore.removeDuplicates(in: &stores, holding: limit)
            #expect(stores.map(\.summary.duplicates) == removed)
            let left = try stores.flatMap { store in try (0..<store.recordCount).flatMap { try store.examples(of: $0) } }
            #expect(left.map(\.ids) == (0..<dataset.count).map { dataset[$0].ids })
            #expect(try stores[0].lengths(of: 79).isEmpty)
        }
    }

    @Test func commonExamplesAreFoundAsInMemory() throws {
        try withFolder { folder in
            let reader = try reader(lines(80, seed: 1), folder)
            let (store, dataset) = (try stored(reader, folder), try inMemory(reader))
            var validation = EncodedDataset(randomExamples(count: 5, seed: 77))
            for place in [3, 50] { validation.append(dataset[place]) }
            #expect(try store.places(in: validation) == [5, 6])
            #expect(try store.places(in: validation) == validation.examples(alsoIn: dataset))
        }
    }
}

extension Array {
    /// The elements over and over.
    fileprivate func repeated(_ count: Int) -> [Element] { (0..<count).map { self[$0 % self.count] } }
}

extension EncodedDataset {
    fileprivate func holds(_ ids: [Int32]) -> Bool { (0..<count).contains { self[$0].ids == ids } }
}
