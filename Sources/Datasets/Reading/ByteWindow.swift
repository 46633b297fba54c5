import Foundation

/// What a scanner sees of a file: all of it where it is mapped, else a stretch that moves along as the file is
/// unpacked.
final class ByteWindow {
    /// No record may be larger where a file is unpacked, so that a few bytes cannot swell to fill the memory.
    static let recordLimit = 256 << 20
    private static let firstStretch = 1 << 18

    private let mapped: Data
    private let decompressor: Decompressor?
    private var unpacked: [UInt8] = []
    private let limit: Int

    /// A window at the start of a file's bytes.
    init(_ data: Data, limit: Int = ByteWindow.recordLimit) throws(DamagedFile) {
        let compression = data.withUnsafeBytes { Compression($0.bindMemory(to: UInt8.self)) }
        self.limit = limit
        if let compression {
            (mapped, decompressor) = (Data(), try Decompressor(compression, data))
        } else {
            (mapped, decompressor) = (data, nil)
        }
    }

    /// Whether the end of the window is the end of the file.
    var isComplete: Bool { decompressor?.isFinished ?? true }

    func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        if decompressor != nil { return unpacked.withUnsafeBufferPointer(body) }
        return mapped.withUnsafeBytes { body($0.bindMemory(to: UInt8.self)) }
    }

    /// Forgets the first bytes and reads on behind the others, at least as many again as there are.
    /// - Parameter done: How many bytes are not needed any more.
    func advance(past done: Int) throws(WindowProblem) {
        unpacked.removeFirst(done)
        guard unpacked.count < limit else { throw .recordTooLarge(limit: limit) }
        do {
            try decompressor?.append(max(unpacked.count, Self.firstStretch), to: &unpacked)
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
