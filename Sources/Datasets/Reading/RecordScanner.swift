import Foundation

/// One record's bytes within a window, not yet parsed.
struct RawRecord {
    /// Byte range within the window.
    let range: Range<Int>
    /// The line of the file where it starts, from 1.
    let line: Int
}

/// What a scanner finds at its position.
enum ScanStep {
    case record(RawRecord)
    /// The window ends before the record does; ask again with more bytes.
    case needsMore
    case end
}

/// A problem of a file's structure.
struct ScanError: Error {
    let kind: DatasetProblemKind
    let line: Int
}

/// Finds the records of a file one after the other, without parsing them; holds only its position.
enum RecordScanner {
    case lines(LineScanner)
    case array(ArrayScanner)
    case rows(RowScanner)

    /// Chooses by the container and, for JSON, by the first character that is not white space: `[` opens an array.
    init(_ container: Container, _ bytes: UnsafeBufferPointer<UInt8>) {
        var start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        let afterMark = start
        var line = 1
        while start < bytes.count, isWhitespace(bytes[start]) {
            if bytes[start] == newline { line += 1 }
            start += 1
        }
        switch container {
        case .json where start < bytes.count && bytes[start] == UInt8(ascii: "["):
            self = .array(ArrayScanner(position: start + 1, line: line))
        case .json, .text: self = .lines(LineScanner(position: afterMark))
        case .table(let separator): self = .rows(RowScanner(position: afterMark, separator: separator))
        }
    }

    /// Where the next record is looked for, in bytes of the window.
    var position: Int {
        get {
            switch self {
            case .lines(let scanner): scanner.position
            case .array(let scanner): scanner.position
            case .rows(let scanner): scanner.position
            }
        }
        set {
            switch self {
            case .lines(var scanner):
                scanner.position = newValue
                self = .lines(scanner)
            case .array(var scanner):
                scanner.position = newValue
                self = .array(scanner)
            case .rows(var scanner):
                scanner.position = newValue
                self = .rows(scanner)
            }
        }
    }

    /// The next record; after `needsMore` the scanner is where it was.
    /// - Parameter isComplete: Whether the file ends where `bytes` do.
    /// - Throws: A problem of the file's structure, and the line; the next call goes on behind it.
    mutating func next(in bytes: UnsafeBufferPointer<UInt8>, isComplete: Bool) throws(ScanError) -> ScanStep {
        switch self {
        case .lines(var scanner):
            let step = scanner.next(in: bytes, isComplete: isComplete)
            if case .needsMore = step { return step }
            self = .lines(scanner)
            return step
        case .array(var scanner):
            do throws(ScanError) {
                let step = try scanner.next(in: bytes, isComplete: isComplete)
                if case .needsMore = step { return step }
                self = .array(scanner)
                return step
            } catch {
                self = .array(scanner)
                throw error
            }
        case .rows(var scanner):
            let step = scanner.next(in: bytes, isComplete: isComplete)
            if case .needsMore = step { return step }
            self = .rows(scanner)
            return step
        }
    }
}

/// The byte that ends a line.
let newline = UInt8(ascii: "\n")

/// Whether a byte is ASCII white space.
func isWhitespace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
