import Yams

/// Lets a tree with duplicate keys through, so that they are reported together with everything else.
///
/// Yams stops at the first mapping that has a key twice. Here the first character of that key's earlier place is
/// exchanged for a private-use one, which keeps every line and column, and the text is read again; `unmarked` gives
/// the name back when the tree is built.
enum DuplicateMarking {
    private static let base: UInt32 = 0xF0000
    private static let width: UInt32 = 0x80
    private static let attempts: UInt32 = 24

    /// The root of the only document in `text`; an empty plain scalar when there is none.
    static func root(of text: String) throws -> Node {
        var scalars = Array(text.unicodeScalars)
        var attempt: UInt32 = 0
        while true {
            var current = String.UnicodeScalarView()
            current.append(contentsOf: scalars)
            do {
                return try Parser(yaml: String(current), encoding: .utf8).singleRoot() ?? Node("", .implicit, .plain)
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                let key = keys.first?.unicodeScalars.first
                guard attempt < attempts, let key, let at = offset(of: key, at: context.mark, in: scalars),
                    let mark = Unicode.Scalar(base + attempt * width + key.value)
                else {
                    let names = keys.map(unmarked)
                    throw YamlError.duplicatedKeysInMapping(duplicates: names, context: context)
                }
                scalars[at] = mark
                attempt += 1
            }
        }
    }

    /// The key as it was written.
    static func unmarked(_ key: String) -> String {
        guard let first = key.unicodeScalars.first, first.value >= base, first.value < base + attempts * width,
            let original = Unicode.Scalar((first.value - base) % width)
        else { return key }
        return String(original) + String(key.unicodeScalars.dropFirst())
    }

    /// Where the plain or quoted key that starts with `first` starts; `nil` if something else stands there.
    private static func offset(of first: Unicode.Scalar, at mark: Mark, in scalars: [Unicode.Scalar]) -> Int? {
        var at = 0
        for _ in 1..<max(1, mark.line) {
            while at < scalars.count, !isLineBreak(scalars[at]) { at += 1 }
            at += at + 1 < scalars.count && scalars[at] == "\r" && scalars[at + 1] == "\n" ? 2 : 1
        }
        at += mark.column - 1
        if at < scalars.count, scalars[at] == "\"" || scalars[at] == "'" { at += 1 }
        return at < scalars.count && first.isASCII && scalars[at] == first ? at : nil
    }

    private static func isLineBreak(_ scalar: Unicode.Scalar) -> Bool {
        ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"].contains(scalar)
    }
}
