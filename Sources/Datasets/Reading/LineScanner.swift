import Foundation

/// A record per line; blank lines are skipped, any line ending is taken.
struct LineScanner {
    var position: Int
    private var line = 0

    init(position: Int) { self.position = position }

    mutating func next(in bytes: UnsafeBufferPointer<UInt8>, isComplete: Bool) -> ScanStep {
        while position < bytes.count {
            guard let end = endOfLine(in: bytes) ?? (isComplete ? bytes.count : nil) else { return .needsMore }
            var range = position..<end
            position = end + 1
            line += 1
            while let first = range.first, isWhitespace(bytes[first]) { range = range.dropFirst() }
            while let last = range.last, isWhitespace(bytes[last]) { range = range.dropLast() }
            if !range.isEmpty { return .record(RawRecord(range: range, line: line)) }
        }
        position = min(position, bytes.count)
        return isComplete ? .end : .needsMore
    }

    private func endOfLine(in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        guard let base = bytes.baseAddress,
            let found = memchr(base + position, Int32(newline), bytes.count - position)
        else { return nil }
        return UnsafeRawPointer(base).distance(to: found)
    }
}
