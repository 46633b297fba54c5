import Datasets
import Foundation
import Testing

/// A data file that is removed with this value. Tests open it through its methods, since a value whose path alone is
/// used may be gone before the file is read.
final class TemporaryFile {
    let path: String

    convenience init(_ content: String, name: String = "data.jsonl") throws {
        try self.init(bytes: Array(content.utf8), name: name)
    }

    init(bytes: [UInt8], name: String = "data.jsonl") throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appendingPathComponent(name)
        try Data(bytes).write(to: file)
        path = file.path
    }

    deinit { try? FileManager.default.removeItem(atPath: (path as NSString).deletingLastPathComponent) }

    func reader(_ format: DatasetFormat? = nil) throws -> DatasetReader {
        try withExtendedLifetime(self) { try DatasetReader(path: path, format: format) }
    }

    /// Every record or problem of the file.
    func records(_ format: DatasetFormat? = nil) throws -> [Result<DatasetRecord, DatasetProblem>] {
        Array(try reader(format).records())
    }

    /// The examples of a file without problems.
    func examples(_ format: DatasetFormat? = nil) throws -> [Example] {
        try records(format).map { try $0.get().example }
    }

    /// The problem of the first record that has one, or the one that keeps the file from being opened.
    func problem(_ format: DatasetFormat? = nil) -> DatasetProblem? {
        do {
            for record in try records(format) { _ = try record.get() }
            return nil
        } catch {
            return error as? DatasetProblem
        }
    }
}

/// A small generator for test data, independent of the one under test.
struct TestNumbers {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next(in range: ClosedRange<Int>) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return range.lowerBound + Int((state >> 33) % UInt64(range.count))
    }
}

/// A result that a test did not expect.
struct Unexpected: Error { let what: String }
