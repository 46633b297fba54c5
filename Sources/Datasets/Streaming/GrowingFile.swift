import Foundation

/// A new file that is written from its start to its end through a buffer.
final class GrowingFile {
    private let path: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private static let bufferSize = 1 << 20
    /// How many bytes have been given.
    private(set) var count = 0

    init(creating path: String) throws(DatasetProblem) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        if descriptor < 0 { throw Self.problem(path) }
        buffer.reserveCapacity(Self.bufferSize)
    }

    deinit { close(descriptor) }

    /// Appends values as they lie in memory.
    func append<Value: BitwiseCopyable>(_ values: [Value]) throws(DatasetProblem) {
        values.withUnsafeBytes {
            buffer.append(contentsOf: $0)
            count += $0.count
        }
        if buffer.count >= Self.bufferSize { try flush() }
    }

    /// Writes what is left. The file is made durable by whoever publishes its folder.
    func flush() throws(DatasetProblem) {
        var done = 0
        while done < buffer.count {
            let written = buffer.withUnsafeBytes {
                write(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done)
            }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw Self.problem(path) }
            done += written
        }
        buffer.removeAll(keepingCapacity: true)
    }

    private static func problem(_ path: String) -> DatasetProblem {
        DatasetProblem(.unwritable(reason: String(cString: strerror(errno))), file: path)
    }
}
