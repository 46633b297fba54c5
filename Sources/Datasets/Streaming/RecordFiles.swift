import Foundation

/// The files of a source, opened when they are read from. Few are open at any time, however many there are: what a
/// process may have open is bounded.
final class RecordFiles: @unchecked Sendable {
    // `@unchecked`: what is open is guarded by the lock.
    /// A file and what parses its records.
    struct Opened {
        let bytes: OpenFile
        let parser: RecordParser
    }

    /// How many files stay open. Records are read in the order in which they lie on disk, so that few would do.
    static let limit = 16

    private let paths: [String]
    /// How the files looked at the start. One that is opened later must still be the same.
    private let stamps: [OpenFile.Stamp]
    /// The file that was read last stands at the end.
    private var opened: [(number: Int, file: Opened)] = []
    private let lock = NSLock()

    /// - Throws: `DatasetProblem` if a file is not there.
    init(_ paths: [String]) throws(DatasetProblem) {
        self.paths = paths
        var stamps: [OpenFile.Stamp] = []
        for path in paths {
            guard let stamp = OpenFile.Stamp(path) else { throw DatasetProblem(.missing, file: path) }
            stamps.append(stamp)
        }
        self.stamps = stamps
    }

    /// A file by its place in the list.
    func file(_ number: Int) throws(DatasetProblem) -> Opened {
        lock.lock()
        defer { lock.unlock() }
        if let place = opened.lastIndex(where: { $0.number == number }) {
            opened.append(opened.remove(at: place))
        } else {
            let file = try open(number)
            if opened.count == Self.limit { opened.removeFirst() }
            opened.append((number, file))
        }
        return opened[opened.count - 1].file
    }

    private func open(_ number: Int) throws(DatasetProblem) -> Opened {
        let path = paths[number]
        let file = try DatasetFile(path: path)
        guard file.bytes.stamp == stamps[number] else { throw DatasetProblem(.changed, file: path) }
        return Opened(bytes: file.bytes, parser: try RawRecords.parser(of: file))
    }
}
