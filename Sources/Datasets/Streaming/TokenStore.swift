public import Foundation

/// A source that has been tokenised once: its examples lie in a folder and are read one record at a time.
///
/// `tokens.bin` holds the records (``RecordCoding``), `index.bin` for each where it begins, its first example and its
/// tokens, `hashes.bin` two hashes of each example, `store.json` what was counted and checksums. Numbers are those of
/// this machine: the folder is a cache, not an exchange format.
public struct TokenStore: RecordStore {
    /// What was counted when it was made, and what it must look like.
    struct Manifest: Codable {
        /// Raised when the files' layout changes.
        static let currentLayout = 1

        var layout = currentLayout
        let summary: EncodingSummary
        let skipped: [DatasetProblem]
        let records, examples, tokenBytes: Int
        let indexChecksum: UInt32
    }

    /// One entry of the index; the last one stands behind the last record.
    struct Entry: BitwiseCopyable {
        let offset: UInt64
        let firstExample: UInt32
        let tokens: UInt32
    }

    static let (tokensFile, indexFile) = ("tokens.bin", "index.bin")
    static let (hashesFile, manifestFile) = ("hashes.bin", "store.json")

    public let source: String
    public let recordCount: Int
    /// What became of the records.
    public internal(set) var summary: EncodingSummary
    /// The records that were left out, as far as they are kept.
    public let skipped: [DatasetProblem]
    /// How many examples there are, those included that were removed since.
    public let exampleCount: Int
    private let place: String
    private let tokens, index, hashes: OpenFile
    /// A bit for each example that is left out as a duplicate.
    private var removed: [UInt64] = []

    /// Opens a folder; everything but the records themselves is verified now, a record when it is read.
    /// - Parameter source: What to call the source.
    /// - Throws: `DatasetProblem` if the folder is damaged, incomplete or of another version.
    public init(_ folder: URL, source: String) throws(DatasetProblem) {
        let place = folder.path
        func damaged(_ reason: String) -> DatasetProblem { DatasetProblem(.damagedCache(reason: reason), file: place) }
        guard let data = try? Data(contentsOf: folder.appendingPathComponent(Self.manifestFile)),
            let manifest = try? JSONDecoder().decode(Manifest.self, from: data),
            manifest.layout == Manifest.currentLayout
        else { throw damaged("\(Self.manifestFile) cannot be read") }
        do throws(OpenFile.Failure) {
            tokens = try OpenFile(folder.appendingPathComponent(Self.tokensFile).path)
            index = try OpenFile(folder.appendingPathComponent(Self.indexFile).path)
            hashes = try OpenFile(folder.appendingPathComponent(Self.hashesFile).path)
        } catch {
            throw damaged(error.reason)
        }
        let size = MemoryLayout<Entry>.stride
        guard tokens.count == manifest.tokenBytes, index.count == size * (manifest.records + 1),
            hashes.count == 2 * MemoryLayout<ExampleHash>.stride * manifest.examples
        else { throw damaged("a file has another size than it should") }
        guard try index.checksum({ damaged($0.reason) }) == manifest.indexChecksum else {
            throw damaged("\(Self.indexFile) does not match its checksum")
        }
        (self.source, self.place) = (source, place)
        (recordCount, exampleCount) = (manifest.records, manifest.examples)
        (summary, skipped) = (manifest.summary.named(source), manifest.skipped)
    }

    public func examples(of record: Int) throws -> [EncodedExample] {
        let (first, words) = try self.words(of: record, entries(record))
        let examples = try orDamaged(record) { () throws(RecordCoding.Damaged) in try RecordCoding.examples(words) }
        return kept(examples, first)
    }

    public func lengths(of record: Int) throws -> [Int32] {
        let entries = try entries(record)
        let (here, next) = (entries[0], entries[1])
        switch Int(next.firstExample) - Int(here.firstExample) {
        case 0: return []
        case 1: return kept([Int32(here.tokens)], Int(here.firstExample))
        default:
            let (first, words) = try self.words(of: record, entries)
            let lengths = try orDamaged(record) { () throws(RecordCoding.Damaged) in try RecordCoding.lengths(words) }
            return kept(lengths, first)
        }
    }

    private func entries(_ record: Int) throws(DatasetProblem) -> [Entry] {
        precondition((0..<recordCount).contains(record), "record \(record) of \(recordCount)")
        do throws(OpenFile.Failure) {
            return try index.read(2, of: Entry.self, at: record * MemoryLayout<Entry>.stride)
        } catch {
            throw DatasetProblem(.damagedCache(reason: error.reason), file: place)
        }
    }

    private func words(of record: Int, _ entries: [Entry]) throws(DatasetProblem) -> (first: Int, words: [UInt32]) {
        let (start, end) = (Int(entries[0].offset), Int(entries[1].offset))
        do throws(OpenFile.Failure) {
            return (Int(entries[0].firstExample), try tokens.read((end - start) / 4, of: UInt32.self, at: start))
        } catch {
            throw DatasetProblem(.damagedCache(reason: error.reason), file: place)
        }
    }

    private func orDamaged<Value>(
        _ record: Int, _ read: () throws(RecordCoding.Damaged) -> Value
    ) throws(DatasetProblem) -> Value {
        do throws(RecordCoding.Damaged) { return try read() } catch {
            throw DatasetProblem(.damagedCache(reason: "record \(record) does not match its checksum"), file: place)
        }
    }

    private func kept<Value>(_ values: [Value], _ first: Int) -> [Value] {
        if removed.isEmpty { return values }
        return values.enumerated().filter { !isRemoved(first + $0.offset) }.map(\.element)
    }

    private func isRemoved(_ example: Int) -> Bool {
        !removed.isEmpty && removed[example / 64] >> UInt64(example % 64) & 1 == 1
    }
}

extension TokenStore {
    /// Calls `body` with the hash of every example that is not removed, in order.
    func forEachHash(
        _ contents: ExampleHash.Contents, _ body: (_ example: Int, ExampleHash) -> Void
    ) throws(DatasetProblem) {
        let size = 2 * MemoryLayout<ExampleHash>.stride
        for start in stride(from: 0, to: exampleCount, by: 1 << 14) {
            let count = min(1 << 14, exampleCount - start)
            let pairs: [ExampleHash]
            do throws(OpenFile.Failure) {
                pairs = try hashes.read(2 * count, of: ExampleHash.self, at: start * size)
            } catch {
                throw DatasetProblem(.damagedCache(reason: error.reason), file: place)
            }
            for offset in 0..<count where !isRemoved(start + offset) {
                body(start + offset, pairs[2 * offset + contents.rawValue])
            }
        }
    }

    /// Leaves examples out from now on.
    mutating func remove(_ examples: [Int]) {
        if removed.isEmpty { removed = [UInt64](repeating: 0, count: (exampleCount + 63) / 64) }
        for example in examples { removed[example / 64] |= 1 << UInt64(example % 64) }
        summary.duplicates += examples.count
    }
}
