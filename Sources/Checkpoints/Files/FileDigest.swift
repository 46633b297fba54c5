import Crypto
public import Foundation
import TensorCore

/// A SHA-256 digest.
public struct FileDigest: Sendable, Hashable, Codable, CustomStringConvertible {
    /// 64 lower-case hexadecimal digits.
    public let hex: String

    /// A digest from its 64 hexadecimal digits; nil if the text is anything else.
    public init?(hex: String) {
        guard hex.utf8.count == 64, hex.allSatisfy(\.isHexDigit) else { return nil }
        self.hex = hex.lowercased()
    }

    /// The hexadecimal digits.
    public var description: String { hex }

    fileprivate init(_ hash: SHA256) {
        let digits = Array("0123456789abcdef".utf8)
        let text = hash.finalize().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        hex = String(decoding: text, as: UTF8.self)
    }

    /// Reads the text form; anything but 64 hexadecimal digits is refused.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let digest = FileDigest(hex: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a SHA-256 digest has 64 hexadecimal digits")
        }
        self = digest
    }

    /// Writes the text form.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hex)
    }
}

extension FileDigest {
    /// The digest of bytes in memory.
    public static func sha256(of data: some DataProtocol) -> FileDigest {
        var hash = SHA256()
        hash.update(data: data)
        return FileDigest(hash)
    }

    /// The digest of a whole file, read in pieces of 1 MiB.
    public static func sha256(of url: URL) throws(CheckpointError) -> FileDigest {
        let reader = try InputFile(url.path)
        var hash = SHA256()
        try reader.update(&hash, from: 0, to: Int.max)
        return FileDigest(hash)
    }

    /// A quick fingerprint for large weight files: at most 17 MiB are read, however large the file is.
    ///
    /// It is the SHA-256 of the file's size (8 bytes, little-endian), followed by the whole content if that is at most
    /// 17 MiB (1 MiB + 256 × 64 KiB), otherwise by the first 1 MiB and by 256 pieces of 64 KiB, of which piece i
    /// begins at ⌊(size − 64 KiB) · i / 255⌋.
    ///
    /// It detects: another size; any change in the first 1 MiB (hence in most headers) or in one of the pieces, so
    /// practically every other model, other precision, other training state of the same model, or a file that is
    /// complete in length but not in content over a stretch of size / 255. It does not detect a change that lies
    /// between the pieces only, such as a single damaged or deliberately altered tensor in a file of many gigabytes:
    /// it tells files apart, it does not prove integrity. Use `sha256(of:)` for that.
    public static func fingerprint(of url: URL) throws(CheckpointError) -> FileDigest {
        let reader = try InputFile(url.path)
        let size = try reader.size()
        let head = 1 << 20
        let piece = 1 << 16
        let pieces = 256
        var hash = SHA256()
        withUnsafeBytes(of: UInt64(size).littleEndian) { hash.update(bufferPointer: $0) }
        if size <= head + pieces * piece {
            try reader.update(&hash, from: 0, to: size)
        } else {
            try reader.update(&hash, from: 0, to: head)
            for index in 0..<pieces {
                // Quotient and remainder apart, so that the product cannot overflow.
                let (step, rest) = (size - piece).quotientAndRemainder(dividingBy: pieces - 1)
                let start = step * index + rest * index / (pieces - 1)
                try reader.update(&hash, from: start, to: start + piece)
            }
        }
        return FileDigest(hash)
    }
}

/// A file read with `pread`. Unlike a mapping it reports a file that shrinks as an error instead of a signal.
private final class InputFile {
    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws(CheckpointError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file(FileError(action: "open", path: path, code: errno)) }
    }

    deinit { close(descriptor) }

    func size() throws(CheckpointError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw .file(FileError(action: "inspect", path: path, code: errno))
        }
        return Int(status.st_size)
    }

    /// Feeds the bytes from `start` to `end`, or to the end of the file, to `hash`.
    func update(_ hash: inout SHA256, from start: Int, to end: Int) throws(CheckpointError) {
        var buffer = [UInt8](repeating: 0, count: min(1 << 20, max(end - start, 1)))
        var offset = start
        while offset < end {
            let wanted = min(buffer.count, end - offset)
            let count = buffer.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, wanted, off_t(offset)) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .file(FileError(action: "read", path: path, code: errno)) }
            guard count > 0 else { return }
            buffer.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            offset += count
        }
    }
}
