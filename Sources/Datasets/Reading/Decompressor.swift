import CCompression
import Foundation

/// How a file is packed, known by its first bytes and not by its name.
enum Compression: Sendable {
    case gzip
    case zstd

    init?(_ start: UnsafeBufferPointer<UInt8>) {
        if start.starts(with: [0x1F, 0x8B]) {
            self = .gzip
        } else if start.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) {
            self = .zstd
        } else {
            return nil
        }
    }
}

/// A packed file that cannot be unpacked.
struct DamagedFile: Error {
    let reason: String
}

/// Reads a file piece by piece and unpacks it if it is packed: memory for one piece and the algorithm's own window,
/// however large the file is.
final class Decompressor {
    private var input: PackedInput
    private let codec: Codec
    /// Whether everything has been read.
    private(set) var isFinished = false

    private enum Codec {
        case none
        case gzip(UnsafeMutablePointer<z_stream>)
        case zstd(OpaquePointer)
    }

    /// The largest window that a zstd frame may ask for, as a power of two of bytes: what the command-line tool
    /// accepts.
    private static let zstdWindowLimit: Int32 = 27

    init(_ file: OpenFile) throws(DamagedFile) {
        input = PackedInput(file)
        try input.refill()
        switch input.withRest({ Compression($0.bindMemory(to: UInt8.self)) }) {
        case nil: codec = .none
        case .gzip:
            let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            stream.initialize(to: z_stream())
            // 15 is the largest window there is; 16 more accepts gzip's header alone.
            let status = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
            guard status == Z_OK else {
                stream.deallocate()
                throw DamagedFile(reason: "zlib cannot start (\(status))")
            }
            codec = .gzip(stream)
        case .zstd:
            guard let stream = ZSTD_createDStream() else { throw DamagedFile(reason: "zstd cannot start") }
            ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, Self.zstdWindowLimit)
            codec = .zstd(stream)
        }
    }

    /// Whether the file is not packed.
    var isPlain: Bool { if case .none = codec { true } else { false } }

    deinit {
        switch codec {
        case .none: break
        case .gzip(let stream):
            inflateEnd(stream)
            stream.deallocate()
        case .zstd(let stream): ZSTD_freeDStream(stream)
        }
    }

    /// Appends up to `count` unpacked bytes; none at the end of the file.
    /// - Throws: If the packed bytes are damaged or end too soon.
    func append(_ count: Int, to buffer: inout [UInt8]) throws(DamagedFile) {
        let before = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: count))
        var written = 0
        while written < count, !isFinished {
            try input.refill()
            let (room, codec) = (before + written, codec)
            written += try buffer.withUnsafeMutableBytes { bytes in
                let output = UnsafeMutableRawBufferPointer(rebasing: bytes[room...])
                return Result { () throws(DamagedFile) in
                    switch codec {
                    case .none: copySome(output)
                    case .gzip(let stream): try inflateSome(stream, output)
                    case .zstd(let stream): try unpackSome(stream, output)
                    }
                }
            }.get()
        }
        buffer.removeLast(count - written)
    }

    private func copySome(_ output: UnsafeMutableRawBufferPointer) -> Int {
        let count = input.withRest { rest in
            let count = min(rest.count, output.count)
            output.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
            return count
        }
        input.consume(count)
        isFinished = input.isAtEnd
        return count
    }

    private func inflateSome(
        _ stream: UnsafeMutablePointer<z_stream>, _ output: UnsafeMutableRawBufferPointer
    ) throws(DamagedFile) -> Int {
        let (status, read, written) = input.withRest { rest -> (Int32, Int, Int) in
            // zlib counts in 32 bits.
            let (available, room) = (min(rest.count, 1 << 30), min(output.count, 1 << 30))
            stream.pointee.next_in = UnsafeMutablePointer(mutating: rest.bindMemory(to: UInt8.self).baseAddress)
            stream.pointee.avail_in = UInt32(available)
            stream.pointee.next_out = output.bindMemory(to: UInt8.self).baseAddress
            stream.pointee.avail_out = UInt32(room)
            let status = inflate(stream, Z_NO_FLUSH)
            return (status, available - Int(stream.pointee.avail_in), room - Int(stream.pointee.avail_out))
        }
        input.consume(read)
        switch status {
        case Z_STREAM_END: try startNextMember(stream)
        case Z_OK where read + written > 0: break
        case Z_OK, Z_BUF_ERROR: throw DamagedFile(reason: "it ends before its contents do; is it complete?")
        default: throw DamagedFile(reason: "its gzip data are damaged")
        }
        return written
    }

    /// A gzip file may hold several members one after another; zeros behind the last are padding.
    private func startNextMember(_ stream: UnsafeMutablePointer<z_stream>) throws(DamagedFile) {
        try input.skipZeros()
        if input.isAtEnd {
            isFinished = true
        } else if inflateReset(stream) != Z_OK {
            throw DamagedFile(reason: "its gzip data are damaged")
        }
    }

    private func unpackSome(_ stream: OpaquePointer, _ output: UnsafeMutableRawBufferPointer) throws(DamagedFile) -> Int
    {
        let (status, read, written) = input.withRest { rest -> (Int, Int, Int) in
            var source = ZSTD_inBuffer(src: rest.baseAddress, size: rest.count, pos: 0)
            var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
            let status = ZSTD_decompressStream(stream, &target, &source)
            return (status, source.pos, target.pos)
        }
        if ZSTD_isError(status) != 0 {
            throw DamagedFile(reason: "its zstd data are damaged: \(String(cString: ZSTD_getErrorName(status)))")
        }
        input.consume(read)
        // 0: a frame is complete; another may follow.
        if status == 0, input.isAtEnd { isFinished = true }
        if status != 0, read == 0, written == 0 {
            throw DamagedFile(reason: "it ends before its contents do; is it complete?")
        }
        return written
    }
}
