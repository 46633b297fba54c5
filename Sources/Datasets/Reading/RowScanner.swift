/// Rows of a table: cells between separators, a cell in quotation marks may hold separators, line breaks and doubled
/// quotation marks (RFC 4180). A quotation mark inside a cell that does not start with one is a character like others.
struct RowScanner {
    var position: Int
    let separator: UInt8
    private var line = 1
    private static let quote = UInt8(ascii: "\"")

    init(position: Int, separator: UInt8) {
        self.position = position
        self.separator = separator
    }

    mutating func next(in bytes: UnsafeBufferPointer<UInt8>, isComplete: Bool) -> ScanStep {
        var (at, line) = (position, line)
        while at < bytes.count {
            let start = (at: at, line: line)
            guard let end = endOfRow(in: bytes, from: at, &line) ?? (isComplete ? bytes.count : nil) else {
                return .needsMore
            }
            var range = at..<end
            at = min(end + 1, bytes.count)
            if end < bytes.count { line += 1 }
            if let last = range.last, bytes[last] == UInt8(ascii: "\r") { range = range.dropLast() }
            if range.contains(where: { !isWhitespace(bytes[$0]) }) {
                (position, self.line) = (at, line)
                return .record(RawRecord(range: range, line: start.line))
            }
        }
        return isComplete ? .end : .needsMore
    }

    /// Where the line break that ends the row stands; counts the line breaks inside quotation marks.
    private func endOfRow(in bytes: UnsafeBufferPointer<UInt8>, from start: Int, _ line: inout Int) -> Int? {
        var isQuoted = false
        var startsCell = true
        for at in start..<bytes.count {
            let byte = bytes[at]
            if byte == Self.quote, isQuoted || startsCell {
                isQuoted.toggle()
                // The second of two marks goes on with the cell as if it had just been opened.
                startsCell = !isQuoted
                continue
            }
            if byte == newline {
                if !isQuoted { return at }
                line += 1
            }
            startsCell = !isQuoted && byte == separator
        }
        return nil
    }

    /// The cells of a row.
    static func cells(
        _ row: UnsafeBufferPointer<UInt8>, separator: UInt8
    ) throws(DatasetProblemKind) -> [String] {
        var cells: [String] = []
        var at = 0
        while true {
            var cell: [UInt8] = []
            if at < row.count, row[at] == quote {
                at += 1
                while true {
                    guard at < row.count else { throw .unclosedQuotation }
                    if row[at] != quote {
                        cell.append(row[at])
                    } else if at + 1 < row.count, row[at + 1] == quote {
                        cell.append(quote)
                        at += 1
                    } else {
                        break
                    }
                    at += 1
                }
                at += 1
                guard at == row.count || row[at] == separator else { throw .textAfterQuotation(cell: cells.count + 1) }
            } else {
                while at < row.count, row[at] != separator {
                    cell.append(row[at])
                    at += 1
                }
            }
            guard let text = String(validating: cell, as: UTF8.self) else { throw .invalidUTF8 }
            cells.append(text)
            if at >= row.count { return cells }
            at += 1
        }
    }
}
