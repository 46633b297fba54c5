import Foundation

/// A file that is open for reading at any place, in pieces: nothing of it stays in memory, and one that shrinks is an
/// error, not a signal.
///
/// What is no regular file (a pipe) can be read only once and is held as a whole.
final class OpenFile: Sendable {
    /// Why a file cannot be read.
    struct Failure: Error {
        let reason: String
        /// Whether it may not be read.
        var isDenied = false
    }

    /// What a pipe or device may give: some give without end.
    private static let pipeLimit = 1 << 30

    /// Bytes of the file.
    let count: Int
    private let descriptor: Int32
    private let contents: [UInt8]?
    /// How the file looked when it was opened.
    let stamp: Stamp

    /// What tells a file from what it becomes when somebody writes to it.
    struct Stamp: Equatable {
        private let size, seconds, nanoseconds: Int

        fileprivate init(_ status: stat) {
            size = Int(status.st_size)
            (seconds, nanoseconds) = (Int(status.st_mtim.tv_sec), Int(status.st_mtim.tv_nsec))
        }

        /// The stamp of a file that is not open; `nil` if there is none.
        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            self.init(status)
        }
    }

    init(_ path: String) throws(Failure) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(reason: String(cString: strerror(errno)), isDenied: errno == EACCES || errno == EPERM) }
        self.descriptor = descriptor
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            close(descriptor)
            throw Failure(reason: "it is a folder")
        }
        stamp = Stamp(status)
        if status.st_mode & S_IFMT == S_IFREG {
            (count, contents) = (Int(status.st_size), nil)
        } else {
            let all: [UInt8]
            do throws(Failure) { all = try Self.drain(descriptor) } catch {
                close(descriptor)
                throw error
            }
            (count, contents) = (all.count, all)
        }
    }

    deinit { close(descriptor) }

    /// Whether nobody has written to the file since it was opened. One that was replaced by another is still itself.
    var isUnchanged: Bool {
        var status = stat()
        return contents != nil || fstat(descriptor, &status) == 0 && Stamp(status) == stamp
    }

    /// Reads up to `bytes.count` bytes at an offset; fewer at the end of the file only.
    func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(Failure) -> Int {
        if let contents {
            let part = contents[min(offset, contents.count)..<min(offset + bytes.count, contents.count)]
            bytes.copyBytes(from: part)
            return part.count
        }
        var done = 0
        while done < bytes.count {
            let rest = bytes.baseAddress?.advanced(by: done)
            let read = pread(descriptor, rest, bytes.count - done, off_t(offset + done))
            if read < 0, errno == EINTR { continue }
            guard read >= 0 else { throw Failure(reason: String(cString: strerror(errno))) }
            if read == 0 { break }
            done += read
        }
        return done
    }

    /// Reads exactly these values.
    /// - Throws: If the file ends before they do.
    func read<Value: BitwiseCopyable>(_ count: Int, of type: Value.Type, at offset: Int) throws(Failure) -> [Value] {
        var failure: Failure?
        let bytes = count * MemoryLayout<Value>.stride
        let values = [Value](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(Failure) {
                let read = try self.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
                if read == bytes { filled = count } else { failure = Failure(reason: "it ends too soon") }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return values
    }

    private static func drain(_ descriptor: Int32) throws(Failure) -> [UInt8] {
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let read = Foundation.read(descriptor, &piece, piece.count)
            if read < 0, errno == EINTR { continue }
            guard read >= 0 else { throw Failure(reason: String(cString: strerror(errno))) }
            if read == 0 { return all }
            all += piece[..<read]
            if all.count > pipeLimit {
                throw Failure(reason: "it is no regular file and gives more than \(pipeLimit >> 20) MiB, which would have to be held in memory")
            }
        }
    }
}
