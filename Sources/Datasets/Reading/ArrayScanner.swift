/// A JSON array of records: finds where each element ends by its brackets and strings alone, so that an array of any
/// size is read one record at a time.
struct ArrayScanner {
    /// Behind the opening bracket at first.
    var position: Int
    var line: Int
    private var isFirst = true
    private var isClosed = false

    init(position: Int, line: Int) {
        self.position = position
        self.line = line
    }

    mutating func next(in bytes: UnsafeBufferPointer<UInt8>, isComplete: Bool) throws(ScanError) -> ScanStep {
        if isClosed { return .end }
        skipWhitespace(in: bytes)
        guard position < bytes.count else { return try endOfBytes(isComplete) }
        if bytes[position] == UInt8(ascii: "]") {
            position += 1
            skipWhitespace(in: bytes)
            if position < bytes.count { throw close(.textAfterArray) }
            if !isComplete { return .needsMore }
            isClosed = true
            return .end
        }
        if !isFirst {
            guard bytes[position] == UInt8(ascii: ",") else {
                // The next call takes what stands here for a record, so that one lost comma costs nothing more.
                isFirst = true
                throw ScanError(kind: .missingComma, line: line)
            }
            position += 1
            skipWhitespace(in: bytes)
            guard position < bytes.count else { return try endOfBytes(isComplete) }
            // The next call finds the array's end here.
            if bytes[position] == UInt8(ascii: "]") { throw ScanError(kind: .trailingComma, line: line) }
        }
        isFirst = false
        let record = element(in: bytes)
        return position < bytes.count || isComplete ? .record(record) : .needsMore
    }

    private mutating func endOfBytes(_ isComplete: Bool) throws(ScanError) -> ScanStep {
        if isComplete { throw close(.unclosedArray) }
        return .needsMore
    }

    private mutating func close(_ kind: DatasetProblemKind) -> ScanError {
        isClosed = true
        return ScanError(kind: kind, line: line)
    }

    private mutating func skipWhitespace(in bytes: UnsafeBufferPointer<UInt8>) {
        while position < bytes.count, isWhitespace(bytes[position]) {
            if bytes[position] == newline { line += 1 }
            position += 1
        }
    }

    /// The element at the current position; whether it is JSON at all is the parser's question. Consumes a byte at
    /// least, so that no input keeps the scanner where it is.
    private mutating func element(in bytes: UnsafeBufferPointer<UInt8>) -> RawRecord {
        let start = (position: position, line: line)
        var depth = 0
        scan: while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 && position > start.position { break scan }
                depth -= 1
                if depth <= 0 {
                    position += 1
                    break scan
                }
            case UInt8(ascii: "\""): skipString(in: bytes)
            case UInt8(ascii: ",") where depth == 0 && position > start.position: break scan
            case newline: line += 1
            default: break
            }
            position += 1
        }
        position = min(position, bytes.count)
        return RawRecord(range: start.position..<position, line: start.line)
    }

    /// Moves from the opening to the closing quotation mark.
    private mutating func skipString(in bytes: UnsafeBufferPointer<UInt8>) {
        position += 1
        while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
            if bytes[position] == newline { line += 1 }
            position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
        }
    }
}
