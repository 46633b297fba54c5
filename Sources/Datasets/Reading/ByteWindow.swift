/// What a scanner sees of a file: a stretch that moves along as the file is read and unpacked.
final class ByteWindow {
    /// No record may be larger, so that neither a file without line ends nor a few packed bytes fill the memory.
    static let recordLimit = 256 << 20
    private static let firstStretch = 1 << 18

    private let decompressor: Decompressor
    private var bytes: [UInt8] = []
    private let limit: Int
    /// How many bytes of the unpacked file lie before the window.
    private(set) var offset = 0

    /// A window at the start of a file's bytes, empty until it is moved.
    init(_ file: OpenFile, limit: Int = ByteWindow.recordLimit) throws(DamagedFile) {
        self.limit = limit
        decompressor = try Decompressor(file)
    }

    /// Whether the end of the window is the end of the file.
    var isComplete: Bool { decompressor.isFinished }

    /// Whether an offset in the window's bytes is one in the file.
    var isPlain: Bool { decompressor.isPlain }

    func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        bytes.withUnsafeBufferPointer(body)
    }

    /// Forgets the first bytes and reads on behind the others, at least as many again as there are.
    /// - Parameter done: How many bytes are not needed any more.
    func advance(past done: Int) throws(WindowProblem) {
        bytes.removeFirst(done)
        offset += done
        guard bytes.count < limit else { throw .recordTooLarge(limit: limit) }
        do {
            try decompressor.append(max(bytes.count, Self.firstStretch), to: &bytes)
        } catch {
            throw .damaged(error.reason)
        }
    }
}

/// Why a window cannot move on.
enum WindowProblem: Error {
    case damaged(String)
    case recordTooLarge(limit: Int)

    var kind: DatasetProblemKind {
        switch self {
        case .damaged(let reason): .unreadable(reason: reason)
        case .recordTooLarge(let limit): .recordTooLarge(limit: limit)
        }
    }
}
