/// What the split patterns ask about a character, as bits.
struct CharacterClass: OptionSet, Sendable {
    var rawValue: UInt16

    /// `\p{L}`
    static let letter = CharacterClass(rawValue: 1)
    /// `\p{N}`
    static let number = CharacterClass(rawValue: 2)
    /// `\s`
    static let space = CharacterClass(rawValue: 4)
    /// `[\r\n]`
    static let newline = CharacterClass(rawValue: 8)
    /// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
    static let lower = CharacterClass(rawValue: 16)
    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
    static let upper = CharacterClass(rawValue: 32)
    /// `\p{M}`
    static let mark = CharacterClass(rawValue: 64)
    /// `[\p{P}\p{S}]`
    static let symbol = CharacterClass(rawValue: 128)
    /// `\w`
    static let word = CharacterClass(rawValue: 256)
    /// Numeric in the newest Unicode version, which the `Digits` pre-tokeniser asks for.
    static let digit = CharacterClass(rawValue: 512)
    /// Punctuation of Unicode 8 and all ASCII symbols, which `Punctuation` and `BertPreTokenizer` ask for.
    static let punctuation = CharacterClass(rawValue: 1024)

    init(rawValue: UInt16) { self.rawValue = rawValue }

    init(_ scalar: Unicode.Scalar) {
        let properties = scalar.properties
        switch properties.generalCategory {
        case .unassigned, .privateUse, .surrogate:
            self = []
            return
        case .uppercaseLetter, .titlecaseLetter: self = [.letter, .upper]
        case .lowercaseLetter: self = [.letter, .lower]
        case .modifierLetter: self = [.letter, .lower, .upper]
        case .otherLetter: self = scalar == "\u{295}" ? [.letter, .lower] : [.letter, .lower, .upper]
        case .nonspacingMark, .spacingMark, .enclosingMark: self = [.lower, .upper, .mark, .word]
        case .decimalNumber: self = [.number, .digit, .word]
        case .letterNumber, .otherNumber: self = [.number, .digit]
        case .connectorPunctuation: self = [.symbol, .word]
        case .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation, .finalPunctuation,
            .otherPunctuation, .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol:
            self = .symbol
        default: self = []
        }
        if properties.isWhitespace { insert(.space) }
        if scalar == "\r" || scalar == "\n" { insert(.newline) }
        if properties.isAlphabetic || properties.isJoinControl { insert(.word) }
        // The regular-expression engines of the tokenizers library know Unicode 16.
        if !scalar.isOlder(than: 17) { formIntersection(.digit) }
        if OldCategories.isPunctuation(scalar) { insert(.punctuation) }
    }

    /// Code points from here on are looked up one by one; they are rare.
    static let tableLimit: UInt32 = 0x32400

    /// The classes of all code points below `tableLimit`, made on first use.
    static let table: [UInt16] = (0..<tableLimit).map { value in
        switch value {
        // The large blocks of ideographs and syllables, which need no look-up.
        case 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xAC00...0xD7A3, 0x20000...0x2A6DF:
            CharacterClass([.letter, .lower, .upper, .word]).rawValue
        default: Unicode.Scalar(value).map { CharacterClass($0).rawValue } ?? 0
        }
    }
}

extension Unicode.Scalar {
    /// Whether a Unicode version before this one assigned the character.
    func isOlder(than version: Int) -> Bool { properties.age.map { $0.major < version } ?? false }
}

/// Categories as the tokenizers library sees them where it carries old Unicode tables, found by asking it about every
/// character: Unicode 8 for control characters, accents and punctuation, Unicode 9 for combining marks. Characters that
/// have changed their category since then are named.
enum OldCategories {
    static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII, 0x21...0x7E ~= scalar.value { return !isASCIIWord(scalar) }
        switch scalar.properties.generalCategory {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            return scalar.isOlder(than: 9)
        default: return scalar == "\u{166D}" || scalar == "\u{111C9}"
        }
    }

    private static func isASCIIWord(_ scalar: Unicode.Scalar) -> Bool {
        "0"..."9" ~= scalar || "a"..."z" ~= scalar || "A"..."Z" ~= scalar
    }

    /// What `BertNormalizer` takes for an accent: a non-spacing mark.
    static func isAccent(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x1734, 0x1171E: true
        case 0x1885, 0x1886, 0xA9BD, 0x111C9: false
        default: scalar.properties.generalCategory == .nonspacingMark && scalar.isOlder(than: 9)
        }
    }

    /// What `StripAccents` removes: a mark of any kind.
    static func isCombiningMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: scalar != "\u{111C9}" && scalar.isOlder(than: 10)
        default: scalar == "\u{1CF2}" || scalar == "\u{1CF3}"
        }
    }

    /// What `BertNormalizer` takes for a control character, line ends and tabs apart.
    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .privateUse: true
        case .control, .format: scalar.isOlder(than: 9)
        default: false
        }
    }
}
