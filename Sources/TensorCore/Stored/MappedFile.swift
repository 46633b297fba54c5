import CKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A regular file mapped read-only into memory for as long as the object lives.
///
/// Its pages are read when they are first touched. A file that is truncated by someone else while it is mapped ends
/// the process on the next touch of a lost page, see ``answerLostPages(exitStatus:)``; replacing it by rename is harmless.
///
/// Unchecked Sendable: the mapping is read-only, all properties are constants, and it is unmapped in `deinit` only.
public final class MappedFile: @unchecked Sendable {
    /// The path as given.
    public let path: String
    /// The whole file; valid as long as the object lives. An empty file has an empty buffer.
    public let bytes: UnsafeRawBufferPointer
    private let slot: Int32

    /// The file's size in bytes at the time it was opened.
    public var size: Int { bytes.count }

    /// Opens and maps the file at `path`; refuses folders, pipes and devices.
    public init(path: String) throws(FileError) {
        self.path = path
        // Without O_NONBLOCK, opening a pipe that nobody writes to would wait forever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileError(action: "open", path: path, code: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(action: "inspect", path: path, code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FileError(action: "map", path: path, code: status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL)
        }
        let size = Int(status.st_size)
        guard size > 0 else {
            (bytes, slot) = (UnsafeRawBufferPointer(start: nil, count: 0), -1)
            return
        }
        guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw FileError(action: "map", path: path, code: errno)
        }
        (bytes, slot) = (UnsafeRawBufferPointer(start: start, count: size), martlet_watch_file(start, Int64(size), path))
    }

    /// From now on a lost page of any mapped file ends the process with a sentence that names it, and this status, instead of
    /// with SIGBUS alone.
    public static func answerLostPages(exitStatus: Int32) { martlet_answer_lost_pages(exitStatus) }

    deinit {
        martlet_forget_file(slot)
        if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
    }

    /// Takes the pages of `range` out of the process's memory. They stay in the system's file cache while there is room
    /// there, and are mapped, or read, again when they are touched.
    public func release(_ range: Range<Int>) {
        guard let start = bytes.baseAddress else { return }
        let range = range.clamped(to: 0..<size)
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let from = range.lowerBound / page * page
        guard range.upperBound > from else { return }
        madvise(UnsafeMutableRawPointer(mutating: start + from), range.upperBound - from, MADV_DONTNEED)
    }
}
