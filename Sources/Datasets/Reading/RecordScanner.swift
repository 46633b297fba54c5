import Foundation

/// One record's bytes within a file, not yet parsed.
struct RawRecord {
    /// Byte range within the file.
    let range: Range<Int>
    /// The line where it starts, from 1.
    let line: Int
}

/// Finds the records of a file one after the other, without parsing them; holds only its position.
enum RecordScanner {
    case lines(LineScanner)
    case array(ArrayScanner)

    /// Chooses by the first character that is not white space: `[` opens an array of records.
    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        var start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        let afterMark = start
        var line = 1
        while start < bytes.count, isWhitespace(bytes[start]) {
            if bytes[start] == newline { line += 1 }
            start += 1
        }
        if start < bytes.count, bytes[start] == UInt8(ascii: "[") {
            self = .array(ArrayScanner(position: start + 1, line: line))
        } else {
            self = .lines(LineScanner(position: afterMark))
        }
    }

    /// The next record, or `nil` at the end.
    /// - Throws: A problem of the file's structure, and the line; the next call goes on behind it.
    mutating func next(in bytes: UnsafeBufferPointer<UInt8>) throws(ScanError) -> RawRecord? {
        switch self {
        case .lines(var scanner):
            defer { self = .lines(scanner) }
            return scanner.next(in: bytes)
        case .array(var scanner):
            defer { self = .array(scanner) }
            return try scanner.next(in: bytes)
        }
    }
}

/// A problem of a file's structure.
struct ScanError: Error {
    let kind: DatasetProblemKind
    let line: Int
}

/// The byte that ends a line.
let newline = UInt8(ascii: "\n")

/// Whether a byte is ASCII white space.
func isWhitespace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

/// JSON lines: a record per line, blank lines skipped, any line ending.
struct LineScanner {
    var position: Int
    private var line = 0

    init(position: Int) { self.position = position }

    mutating func next(in bytes: UnsafeBufferPointer<UInt8>) -> RawRecord? {
        while position < bytes.count {
            let end = endOfLine(in: bytes)
            var range = position..<end
            position = end + 1
            line += 1
            while let first = range.first, isWhitespace(bytes[first]) { range = range.dropFirst() }
            while let last = range.last, isWhitespace(bytes[last]) { range = range.dropLast() }
            if !range.isEmpty { return RawRecord(range: range, line: line) }
        }
        return nil
    }

    private func endOfLine(in bytes: UnsafeBufferPointer<UInt8>) -> Int {
        guard let base = bytes.baseAddress,
            let found = memchr(base + position, Int32(newline), bytes.count - position)
        else { return bytes.count }
        return UnsafeRawPointer(base).distance(to: found)
    }
}
