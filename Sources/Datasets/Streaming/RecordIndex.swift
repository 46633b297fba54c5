public import Foundation

/// Where the records of a source lie in its files: sixteen bytes a record, in a file of its own, none in memory.
///
/// Only files that are not packed can be read from any place. The folder holds `places.bin` and `index.json`.
public struct RecordIndex: Sendable {
    struct Manifest: Codable {
        static let currentLayout = 1

        var layout = currentLayout
        /// Records of each file.
        let records: [Int]
        let checksum: UInt32
    }

    struct Place: BitwiseCopyable {
        let offset: UInt64
        let length: UInt32
        let line: UInt32
    }

    static let (placesFile, manifestFile) = ("places.bin", "index.json")

    /// How many records there are.
    public let count: Int
    private let places: OpenFile
    /// The number of the first record of each file, and at last how many there are.
    private let starts: [Int]
    private let folder: String

    /// Opens an index.
    /// - Throws: `DatasetProblem` if the folder is damaged or of another version.
    public init(_ folder: URL) throws(DatasetProblem) {
        func damaged(_ reason: String) -> DatasetProblem {
            DatasetProblem(.damagedCache(reason: reason), file: folder.path)
        }
        guard let data = try? Data(contentsOf: folder.appendingPathComponent(Self.manifestFile)),
            let manifest = try? JSONDecoder().decode(Manifest.self, from: data),
            manifest.layout == Manifest.currentLayout
        else { throw damaged("\(Self.manifestFile) cannot be read") }
        do throws(OpenFile.Failure) {
            places = try OpenFile(folder.appendingPathComponent(Self.placesFile).path)
        } catch {
            throw damaged(error.reason)
        }
        starts = manifest.records.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
        count = starts[starts.count - 1]
        self.folder = folder.path
        guard places.count == count * MemoryLayout<Place>.stride,
            try places.checksum({ damaged($0.reason) }) == manifest.checksum
        else { throw damaged("\(Self.placesFile) does not match its checksum") }
    }

    /// Goes through all files of a source and writes where its records lie, without parsing them.
    /// - Parameters:
    ///   - reader: The source; none of its files is packed.
    ///   - folder: An empty folder.
    /// - Throws: `DatasetProblem`: what is wrong with the structure of a file, or that the folder cannot be written.
    public static func build(_ reader: DatasetReader, in folder: URL) throws(DatasetProblem) {
        let output = try GrowingFile(creating: folder.appendingPathComponent(placesFile).path)
        var checksum = IndexChecksum()
        var counts: [Int] = []
        for path in reader.files {
            var records = RawRecords(try DatasetFile(path: path)).makeIterator()
            var count = 0
            while let next = records.nextPlace() {
                let (window, raw) = try next.get()
                let place = Place(
                    offset: UInt64(window.offset + raw.range.lowerBound), length: UInt32(raw.range.count),
                    line: UInt32(clamping: raw.line))
                checksum.add([
                    UInt32(truncatingIfNeeded: place.offset), UInt32(truncatingIfNeeded: place.offset >> 32),
                    place.length, place.line,
                ])
                try output.append([place])
                count += 1
            }
            counts.append(count)
        }
        try output.flush()
        do {
            try JSONEncoder().encode(Manifest(records: counts, checksum: checksum.value))
                .write(to: folder.appendingPathComponent(manifestFile))
        } catch {
            throw DatasetProblem(.unwritable(reason: error.localizedDescription), file: folder.path)
        }
    }

    /// The file of a record, as its place in the source's list of files, and where it lies in it.
    func place(of record: Int) throws(DatasetProblem) -> (file: Int, place: Place) {
        precondition((0..<count).contains(record), "record \(record) of \(count)")
        let file = starts.firstPlace { $0 > record } - 1
        do throws(OpenFile.Failure) {
            return (file, try places.read(1, of: Place.self, at: record * MemoryLayout<Place>.stride)[0])
        } catch {
            throw DatasetProblem(.damagedCache(reason: error.reason), file: folder)
        }
    }
}
