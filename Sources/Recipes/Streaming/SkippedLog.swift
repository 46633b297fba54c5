import Datasets
import Foundation
import Tokenization

/// The list of records that are left out while a run goes: a line of `skipped.jsonl` for each, as soon as it is met.
final class SkippedLog: @unchecked Sendable {
    // `@unchecked`: everything that changes is guarded by the lock.
    private let lock = NSLock()
    private var file: FileHandle?
    private var known: Set<String> = []

    /// Begins to write to a run's folder; what an interrupted run has listed there is not listed again.
    func open(in folder: URL) throws {
        let place = folder.appendingPathComponent("skipped.jsonl")
        try lock.withLock {
            let earlier = (try? String(contentsOf: place, encoding: .utf8)) ?? ""
            known = Set(earlier.split(separator: "\n").prefix(EncodedData.listLimit).map(String.init))
            if !FileManager.default.fileExists(atPath: place.path) {
                guard FileManager.default.createFile(atPath: place.path, contents: nil) else {
                    throw DatasetProblem(.unwritable(reason: String(cString: strerror(errno))), file: place.path)
                }
            }
            file = try FileHandle(forWritingTo: place)
            try file?.seekToEnd()
        }
    }

    /// Notes a record that is left out.
    func add(_ problem: DatasetProblem) {
        let line = problem.listEntry
        lock.withLock {
            guard known.count < EncodedData.listLimit, known.insert(line).inserted else { return }
            try? file?.write(contentsOf: Data((line + "\n").utf8))
        }
    }
}

extension DatasetProblem {
    /// A line of `skipped.jsonl`.
    var listEntry: String {
        let entry: JSONObject = [
            "file": .string(file), "line": line.map { .integer($0) } ?? .null,
            "reason": .string(kind.found),
        ]
        return JSONValue.object(entry).serialized(pretty: false)
    }
}
