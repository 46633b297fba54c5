/// The simplest regular expressions, which need no engine: one character or class, alone or repeated (` {2,}`, `\s+`,
/// `\n`, `[\r\n]+`).
struct RunPattern: Sendable, Hashable {
    private enum Unit: Sendable, Hashable {
        case scalar(UInt32)
        case kind(UInt16)
    }

    private let unit: Unit
    private let least: Int
    private let repeats: Bool

    /// `nil` for every other expression.
    init?(_ expression: String) {
        let classes: [(String, CharacterClass)] = [
            (#"\s"#, .space), (#"\p{N}"#, .number), (#"\p{L}"#, .letter), (#"[\r\n]"#, .newline),
        ]
        var rest: Substring.UnicodeScalarView
        if let (text, kind) = classes.first(where: { expression.hasPrefix($0.0) }) {
            unit = .kind(kind.rawValue)
            rest = expression.unicodeScalars.dropFirst(text.unicodeScalars.count)
        } else {
            rest = expression.unicodeScalars[...]
            guard let first = rest.popFirst(), let scalar = Self.literal(first, &rest) else { return nil }
            unit = .scalar(scalar.value)
        }
        switch String(rest) {
        case "": (least, repeats) = (1, false)
        case "+": (least, repeats) = (1, true)
        default:
            guard rest.first == "{", rest.last == "}", rest.dropLast().last == ",",
                let count = Int(String(rest.dropFirst().dropLast(2))), 1...1000 ~= count
            else { return nil }
            (least, repeats) = (count, true)
        }
    }

    private static func literal(
        _ scalar: Unicode.Scalar, _ rest: inout Substring.UnicodeScalarView
    ) -> Unicode.Scalar? {
        switch scalar {
        case "\\":
            switch rest.popFirst() {
            case "n": return "\n"
            case "r": return "\r"
            case "t": return "\t"
            default: return nil
            }
        case ".", "^", "$", "|", "?", "*", "+", "(", ")", "[", "]", "{", "}", "#": return nil
        default: return scalar
        }
    }

    /// Appends the matches in `start..<text.end`.
    func scan(_ text: ClassifiedText, from start: Int, into pieces: inout [PieceRange]) {
        var at = start
        while at < text.end {
            let matchStart = at
            var count = 0
            while at < text.end, let next = end(text, at) {
                (at, count) = (next, count + 1)
                if !repeats { break }
            }
            if count >= least { pieces.append(PieceRange(start: matchStart, end: at)) }
            if count == 0 { at = text.text.scalar(at).end }
        }
    }

    /// Where the character at `position` ends, if it is the one looked for.
    @inline(__always)
    private func end(_ text: ClassifiedText, _ position: Int) -> Int? {
        switch unit {
        case .scalar(let value):
            let (found, end) = text.text.scalar(position)
            return found == value ? end : nil
        case .kind(let kind):
            let (found, end) = text.next(position)
            return found.rawValue & kind != 0 ? end : nil
        }
    }
}
