/// What the split patterns ask about a character, as bits.
struct CharacterClass: OptionSet, Sendable {
    var rawValue: UInt8

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

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(_ scalar: Unicode.Scalar) {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .titlecaseLetter: self = [.letter, .upper]
        case .lowercaseLetter: self = [.letter, .lower]
        case .modifierLetter, .otherLetter: self = [.letter, .lower, .upper]
        case .nonspacingMark, .spacingMark, .enclosingMark: self = [.lower, .upper]
        case .decimalNumber, .letterNumber, .otherNumber: self = .number
        default:
            self = scalar.properties.isWhitespace ? .space : []
            if scalar == "\r" || scalar == "\n" { insert(.newline) }
        }
    }

    /// Code points from here on are looked up one by one; they are rare.
    static let tableLimit: UInt32 = 0x32400

    /// The classes of all code points below `tableLimit`, made on first use.
    static let table: [UInt8] = (0..<tableLimit).map { value in
        switch value {
        // The large blocks of ideographs and syllables, which need no look-up.
        case 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xAC00...0xD7A3, 0x20000...0x2A6DF:
            CharacterClass([.letter, .lower, .upper]).rawValue
        default: Unicode.Scalar(value).map { CharacterClass($0).rawValue } ?? 0
        }
    }
}
