import CCompression
import Datasets
import Foundation
import Testing
import Tokenization

/// Data files that are packed with gzip or zstd.
private enum Packed {
    static func gzip(_ bytes: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        deflateInit2_(
            &stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        defer { deflateEnd(&stream) }
        var (input, output) = (bytes, [UInt8](repeating: 0, count: bytes.count + 1024))
        let written = input.withUnsafeMutableBufferPointer { source in
            output.withUnsafeMutableBufferPointer { target in
                stream.next_in = source.baseAddress
                stream.avail_in = UInt32(source.count)
                stream.next_out = target.baseAddress
                stream.avail_out = UInt32(target.count)
                deflate(&stream, Z_FINISH)
                return target.count - Int(stream.avail_out)
            }
        }
        return Array(output.prefix(written))
    }

    static func zstd(_ bytes: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
        let written = ZSTD_compress(&output, output.count, bytes, bytes.count, 3)
        return Array(output.prefix(written))
    }

    static func pack(_ method: String, _ bytes: [UInt8]) -> [UInt8] { method == "gz" ? gzip(bytes) : zstd(bytes) }
}

/// More than fits into one window, with records that cross its borders.
private let manyLines: [String] = (0..<6000).map {
    "{\"text\": \"record \($0) \(String(repeating: "ä", count: $0 % 97))\"}"
}

private func texts(_ examples: [Example]) -> [String] {
    examples.map { if case .text(let text) = $0 { text } else { "no text" } }
}

@Test(arguments: ["gz", "zst"])
func packedLinesAndArraysAreReadAsIfTheyWereNot(method: String) throws {
    let plain = texts(try TemporaryFile(manyLines.joined(separator: "\n")).examples(.text))
    #expect(plain.count == manyLines.count)
    for content in [manyLines.joined(separator: "\n"), "[" + manyLines.joined(separator: ",\n") + "]"] {
        // The bytes tell, not the name.
        for name in ["data.jsonl.\(method)", "data"] {
            let packed = try TemporaryFile(bytes: Packed.pack(method, Array(content.utf8)), name: name)
            #expect(texts(try packed.examples(.text)) == plain)
            #expect(try packed.reader().format == .text)
        }
    }
}

@Test(arguments: ["gz", "zst"])
func packedTablesKeepLinesAndQuotedBreaks(method: String) throws {
    let rows = (0..<9000).map { "\"q \($0)\nsecond, \"\"line\"\"\",a\($0)" }
    let content = "prompt,completion\r\n" + rows.joined(separator: "\r\n") + "\r\n"
    let packed = try TemporaryFile(bytes: Packed.pack(method, Array(content.utf8)), name: "t.csv.\(method)")
    let records = try packed.records().map { try $0.get() }
    #expect(records.count == 9000)
    for (number, record) in records.enumerated() {
        #expect(record.example == .completion(prompt: "q \(number)\nsecond, \"line\"", response: "a\(number)"))
        #expect(record.line == 2 + 2 * number)
    }
}

@Test(arguments: ["gz", "zst"])
func membersOneAfterAnotherAreOneFile(method: String) throws {
    let halves = [manyLines[..<2000], manyLines[2000...]].map { Array(($0.joined(separator: "\n") + "\n").utf8) }
    let file = try TemporaryFile(bytes: halves.flatMap { Packed.pack(method, $0) })
    #expect(try file.examples(.text).count == manyLines.count)
}

@Test(arguments: ["gz", "zst"])
func damagedPackedFilesAreNamed(method: String) throws {
    let whole = Packed.pack(method, Array(manyLines[..<4000].joined(separator: "\n").utf8))
    for cut in [5, whole.count / 2, whole.count - 1] {
        let file = try TemporaryFile(bytes: Array(whole.prefix(cut)))
        guard case .unreadable(let reason)? = file.problem(.text)?.kind else {
            throw Unexpected(what: "\(cut): \(String(describing: file.problem(.text)))")
        }
        #expect(reason.contains("ends before"), "\(reason)")
    }
    var numbers = TestNumbers(5)
    for _ in 0..<30 {
        var damaged = whole
        damaged[numbers.next(in: 0...whole.count - 1)] ^= UInt8(numbers.next(in: 1...255))
        // Any outcome but a crash or a hang is right; checksums find most of these.
        _ = try TemporaryFile(bytes: damaged).problem(.text)
    }
}

@Test func packedFilesOfOtherKindsAreNamed() throws {
    let twice = try TemporaryFile(bytes: Packed.gzip(Packed.gzip(Array("{}".utf8))))
    #expect(twice.problem()?.kind == .notText(looksLike: "a gzip file in a packed file"))
    let empty = try TemporaryFile(bytes: Packed.gzip([]))
    #expect(empty.problem()?.kind == .empty)
}
