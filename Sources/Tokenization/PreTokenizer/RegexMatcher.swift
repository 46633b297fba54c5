import Foundation

/// A split pattern that no scanner is written for, run by Foundation's regular-expression engine.
///
/// The engine shares its rules with Oniguruma (leftmost match, first alternative that fits, backtracking). Where the
/// two read a pattern differently, the pattern is rewritten: `\s` is Unicode white space, `\h` a hexadecimal digit,
/// `^` and `$` hold at every line feed.
struct RegexMatcher: Sendable {
    let pattern: String
    private let expression: NSRegularExpression

    init?(_ pattern: String) {
        let options: NSRegularExpression.Options = [.anchorsMatchLines, .useUnixLineSeparators]
        guard let expression = try? NSRegularExpression(pattern: Self.translated(pattern), options: options) else {
            return nil
        }
        self.pattern = pattern
        self.expression = expression
    }

    /// Rewrites escapes that mean something else in the other engine.
    static func translated(_ pattern: String) -> String {
        var output = String.UnicodeScalarView()
        var scalars = pattern.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            guard scalar == "\\", let escaped = scalars.next() else {
                output.append(scalar)
                continue
            }
            switch escaped {
            case "s": output.append(contentsOf: #"\p{White_Space}"#.unicodeScalars)
            case "S": output.append(contentsOf: #"\P{White_Space}"#.unicodeScalars)
            case "h": output.append(contentsOf: #"\p{ASCII_Hex_Digit}"#.unicodeScalars)
            case "H": output.append(contentsOf: #"\P{ASCII_Hex_Digit}"#.unicodeScalars)
            default: output.append(contentsOf: ["\\", escaped])
            }
        }
        return String(output)
    }

    /// The matches in `range`, which the expression sees as the whole text, in byte positions.
    func matches(in bytes: UnsafeBufferPointer<UInt8>, _ range: PieceRange) -> [PieceRange] {
        let text = String(decoding: UnsafeBufferPointer(rebasing: bytes[range.start..<range.end]), as: UTF8.self)
        var found: [PieceRange] = []
        var (unit, byte) = (0, range.start)
        // Positions in UTF-16 grow from match to match, so one walk over the bytes translates them all.
        func position(of target: Int) -> Int {
            while unit < target, byte < range.end {
                let lead = bytes[byte]
                byte += lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
                unit += lead < 0xF0 ? 1 : 2
            }
            return byte
        }
        let whole = NSRange(location: 0, length: text.utf16.count)
        for match in expression.matches(in: text, options: [], range: whole) {
            let start = position(of: match.range.location)
            found.append(PieceRange(start: start, end: position(of: match.range.location + match.range.length)))
        }
        return found
    }
}
