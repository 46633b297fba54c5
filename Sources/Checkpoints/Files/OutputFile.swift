import Foundation
import TensorCore

/// A file being written at any offset. Partial writes and interruptions are handled here.
///
/// Not Sendable: one thread writes.
final class OutputFile {
    let path: String
    private var descriptor: Int32

    /// Creates the file, or empties an existing one.
    init(creating path: String) throws(FileError) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError(action: "create", path: path, code: errno) }
    }

    deinit {
        if descriptor >= 0 { Foundation.close(descriptor) }
    }

    /// Writes all of `bytes` at `offset`.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let written = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
            if written > 0 {
                done += written
            } else if written == 0 || errno != EINTR {
                throw FileError(action: "write to", path: path, code: written == 0 ? EIO : errno)
            }
        }
    }

    /// Writes all of `bytes` at the start.
    func write(_ bytes: [UInt8]) throws(FileError) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
            try write(UnsafeRawBufferPointer(buffer), at: 0)
        }
    }

    /// Creates or empties the file at `path`, writes `bytes` and waits until they are on the disk.
    static func write(_ bytes: [UInt8], to path: String) throws(FileError) {
        let file = try OutputFile(creating: path)
        try file.write(bytes)
        try file.finish()
    }

    /// Waits until everything is on the disk, then closes the file. Errors that the system reports late come out here.
    func finish() throws(FileError) {
        guard descriptor >= 0 else { return }
        guard fsync(descriptor) == 0 else { throw FileError(action: "write to", path: path, code: errno) }
        let closing = descriptor
        descriptor = -1
        guard Foundation.close(closing) == 0 else { throw FileError(action: "close", path: path, code: errno) }
    }
}
