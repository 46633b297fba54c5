/// Strings as Python sees them: sequences of code points, with Python's idea of white space, case and lines.
extension Unicode.Scalar {
    var isASCIIDigit: Bool { "0"..."9" ~= self }
    var isASCIILetter: Bool { "a"..."z" ~= self || "A"..."Z" ~= self }

    /// `str.isspace`.
    var isPythonWhitespace: Bool {
        switch value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// Where `str.splitlines` cuts.
    var isPythonLineEnd: Bool {
        switch value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }

    /// `str.isprintable` for one character; everything else is escaped by `repr`.
    var isPythonPrintable: Bool {
        if self == " " { return true }
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default: return true
        }
    }
}

extension String {
    init(_ scalars: some Sequence<Unicode.Scalar>) {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        self.init(view)
    }

    /// `str.strip`, `lstrip` and `rstrip`; `characters` are the ones to remove, white space if `nil`.
    func stripped(_ characters: String? = nil, left: Bool = true, right: Bool = true) -> String {
        let set = characters.map { Set($0.unicodeScalars) }
        func isRemoved(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? scalar.isPythonWhitespace }
        var rest = unicodeScalars[...]
        if left { rest = rest.drop(while: isRemoved) }
        if right { while let last = rest.last, isRemoved(last) { rest.removeLast() } }
        return String(rest)
    }

    var pythonLines: [String] {
        var lines: [String] = []
        var line = String.UnicodeScalarView()
        var isAfterReturn = false
        var isOpen = false
        for scalar in unicodeScalars {
            defer { isAfterReturn = scalar == "\r" }
            if isAfterReturn, scalar == "\n" { continue }
            if scalar.isPythonLineEnd {
                lines.append(String(line))
                line = String.UnicodeScalarView()
                isOpen = false
            } else {
                line.append(scalar)
                isOpen = true
            }
        }
        if isOpen { lines.append(String(line)) }
        return lines
    }

    /// `str.split()` without a separator; `limit` is the largest number of cuts, from the left or from the right.
    func words(limit: Int = .max, fromRight: Bool = false) -> [String] {
        var scalars = Array(unicodeScalars)
        if fromRight { scalars.reverse() }
        var words: [[Unicode.Scalar]] = []
        var at = 0
        while true {
            while at < scalars.count, scalars[at].isPythonWhitespace { at += 1 }
            guard at < scalars.count else { break }
            if words.count == limit {
                words.append(Array(scalars[at...]))
                break
            }
            let end = scalars[at...].firstIndex(where: \.isPythonWhitespace) ?? scalars.count
            words.append(Array(scalars[at..<end]))
            at = end
        }
        return fromRight ? words.reversed().map { String($0.reversed()) } : words.map { String($0) }
    }
}

// MARK: - Searching
extension String {
    /// The byte offsets at which `part` occurs, from the left, without overlap, at most `limit`.
    func occurrences(of part: String, limit: Int = .max) -> [Int] {
        Self.occurrences(of: Array(part.utf8), in: Array(utf8), limit: limit)
    }

    /// The same from the right, in descending order.
    func occurrencesFromRight(of part: String, limit: Int = .max) -> [Int] {
        let (text, pattern) = (Array(utf8.reversed()), Array(part.utf8.reversed()))
        return Self.occurrences(of: pattern, in: text, limit: limit).map { text.count - $0 - pattern.count }
    }

    /// Knuth, Morris and Pratt's search, which takes linear time whatever the texts.
    private static func occurrences(of pattern: [UInt8], in text: [UInt8], limit: Int) -> [Int] {
        guard !pattern.isEmpty, limit > 0, pattern.count <= text.count else { return [] }
        // The length of the longest proper prefix of the pattern that ends at each of its positions.
        var borders = Array(repeating: 0, count: pattern.count)
        var border = 0
        for at in pattern.indices.dropFirst() {
            while border > 0, pattern[at] != pattern[border] { border = borders[border - 1] }
            if pattern[at] == pattern[border] { border += 1 }
            borders[at] = border
        }
        var found: [Int] = []
        var matched = 0
        for at in text.indices {
            while matched > 0, text[at] != pattern[matched] { matched = borders[matched - 1] }
            if text[at] == pattern[matched] { matched += 1 }
            guard matched == pattern.count else { continue }
            found.append(at + 1 - matched)
            if found.count == limit { break }
            matched = 0
        }
        return found
    }

    /// The pieces between cuts of `width` bytes at ascending byte offsets.
    func pieces(cutAt offsets: [Int], width: Int) -> [String] {
        let bytes = Array(utf8)
        var pieces: [String] = []
        var start = 0
        for offset in offsets {
            pieces.append(String(decoding: bytes[start..<offset], as: UTF8.self))
            start = offset + width
        }
        pieces.append(String(decoding: bytes[start...], as: UTF8.self))
        return pieces
    }

    /// `str.replace`; an empty `old` stands between all characters.
    func replacing(_ old: String, by new: String, limit: Int) -> String {
        let limit = limit < 0 ? Int.max : limit
        guard old.isEmpty else {
            return pieces(cutAt: occurrences(of: old, limit: limit), width: old.utf8.count).joined(new)
        }
        var result = String.UnicodeScalarView()
        var count = 0
        for scalar in unicodeScalars {
            if count < limit { result.append(contentsOf: new.unicodeScalars) }
            count += 1
            result.append(scalar)
        }
        if count < limit { result.append(contentsOf: new.unicodeScalars) }
        return String(result)
    }

    func hasPrefix(exactly part: String) -> Bool { utf8.starts(with: part.utf8) }
    func hasSuffix(exactly part: String) -> Bool { utf8.reversed().starts(with: part.utf8.reversed()) }
    func isExactly(_ other: String) -> Bool { utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8) }
}

extension [String] {
    func joined(_ separator: String) -> String { joined(separator: separator) }
}

// MARK: - Case
extension String {
    var pythonUppercased: String { unicodeScalars.map(\.properties.uppercaseMapping).joined() }

    /// `str.lower`, with the Greek sigma that ends a word.
    var pythonLowercased: String {
        let scalars = Array(unicodeScalars)
        return scalars.indices.map { Self.lowercased(scalars, $0) }.joined()
    }

    private static func lowercased(_ scalars: [Unicode.Scalar], _ at: Int) -> String {
        scalars[at] == "Σ" && endsWord(scalars, at) ? "ς" : scalars[at].properties.lowercaseMapping
    }

    private static func endsWord(_ scalars: [Unicode.Scalar], _ at: Int) -> Bool {
        let before = scalars[..<at].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(at + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased == true && after?.properties.isCased != true
    }

    var pythonCapitalized: String {
        guard let first = unicodeScalars.first else { return "" }
        let whole = pythonLowercased
        let rest = String(whole.unicodeScalars.dropFirst(first.properties.lowercaseMapping.unicodeScalars.count))
        return first.properties.titlecaseMapping + rest
    }

    /// `str.title`: every run of letters starts large.
    var pythonTitled: String {
        var result = ""
        var isAfterCased = false
        let scalars = Array(unicodeScalars)
        for (at, scalar) in scalars.enumerated() {
            result += isAfterCased ? Self.lowercased(scalars, at) : scalar.properties.titlecaseMapping
            isAfterCased = scalar.properties.isCased
        }
        return result
    }

    var pythonCaseSwapped: String {
        let scalars = Array(unicodeScalars)
        return scalars.indices.map { at in
            let properties = scalars[at].properties
            return properties.isUppercase ? Self.lowercased(scalars, at) : properties.uppercaseMapping
        }.joined()
    }

    /// `str.islower` and `isupper`: at least one cased character, and none of the other case.
    func isAllCased(upper: Bool) -> Bool {
        var hasCased = false
        for scalar in unicodeScalars {
            let properties = scalar.properties
            if properties.generalCategory == .titlecaseLetter { return false }
            if upper ? properties.isLowercase : properties.isUppercase { return false }
            if upper ? properties.isUppercase : properties.isLowercase { hasCased = true }
        }
        return hasCased
    }
}
