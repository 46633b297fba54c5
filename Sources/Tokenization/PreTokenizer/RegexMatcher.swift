import Foundation

/// A split pattern that no scanner is written for, run by Foundation's regular-expression engine.
///
/// The engine shares its rules with Oniguruma (leftmost match, first alternative that fits, backtracking). Where the
/// two read a pattern differently, the pattern is rewritten: `\s` is Unicode white space, `\h` a hexadecimal digit,
/// `\w` and `\b` know no joiners, `^` and `$` hold at every line feed.
struct RegexMatcher: Sendable {
    let pattern: String
    private let expression: NSRegularExpression

    init?(_ pattern: String) {
        let options: NSRegularExpression.Options = [.anchorsMatchLines, .useUnixLineSeparators]
        guard let translated = Self.translated(pattern),
            let expression = try? NSRegularExpression(pattern: translated, options: options)
        else { return nil }
        self.pattern = pattern
        self.expression = expression
    }

    /// Rewrites what means something else in the other engine; `nil` where there is no equivalent.
    static func translated(_ pattern: String) -> String? {
        var output = ""
        var rest = pattern.unicodeScalars[...]
        var classDepth = 0
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\\":
                guard let escaped = rest.popFirst() else { return nil }
                output += translatedEscape(escaped, inClass: classDepth > 0)
                if escaped == "p" || escaped == "P" || escaped == "x", rest.first == "{" {
                    while let part = rest.popFirst() {
                        output.unicodeScalars.append(part)
                        if part == "}" { break }
                    }
                }
            case "{" where classDepth == 0:
                guard let interval = translatedInterval(&rest) else { return nil }
                output += interval
            default:
                if scalar == "[" { classDepth += 1 }
                if scalar == "]" { classDepth = max(0, classDepth - 1) }
                output.unicodeScalars.append(scalar)
            }
        }
        return output
    }

    /// `\w`: no joiners, but the superscripts and fractions of Latin-1, which do not count within a class.
    private static let word = #"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}²³¹¼½¾]"#
    private static let classWord = #"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]"#

    private static func translatedEscape(_ escaped: Unicode.Scalar, inClass: Bool) -> String {
        switch escaped {
        // The other engine looks through combining marks for the edge of a word.
        case "b" where !inClass: "(?:(?<=\(word))(?!\(word))|(?<!\(word))(?=\(word)))"
        case "B" where !inClass: "(?:(?<=\(word))(?=\(word))|(?<!\(word))(?!\(word)))"
        case "w": inClass ? classWord : word
        case "W": "[^" + (inClass ? classWord : word).dropFirst()
        case "s": #"\p{White_Space}"#
        case "S": #"\P{White_Space}"#
        case "h": #"\p{ASCII_Hex_Digit}"#
        case "H": #"\P{ASCII_Hex_Digit}"#
        default: "\\" + String(escaped)
        }
    }

    /// The interval whose brace has just been read. A plus behind it repeats it (`{1,3}+` is any number), while the
    /// other engine would take it for a possessive interval.
    private static func translatedInterval(_ rest: inout Substring.UnicodeScalarView) -> String? {
        guard let close = rest.firstIndex(of: "}") else { return "{" }
        let inside = String(rest[..<close])
        rest = rest[rest.index(after: close)...]
        guard rest.first == "+" else { return "{\(inside)}" }
        rest.removeFirst()
        let bounds = inside.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard bounds.count == 2, let low = bounds[0] else { return nil }
        // Without gaps between one, two, three … repetitions, there is no upper bound left.
        if let high = bounds[1], high < 2 * low - 1 { return nil }
        return "{\(low),}"
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
            // Right behind a match, an empty one does not count.
            if match.range.length == 0, start == found.last?.end { continue }
            found.append(PieceRange(start: start, end: position(of: match.range.location + match.range.length)))
        }
        return found
    }
}
