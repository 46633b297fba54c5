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

/// Valid UTF-8 that is read scalar by scalar.
struct PieceText {
    let bytes: UnsafeBufferPointer<UInt8>

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// The code point at `position` and the position after it.
    @inline(__always)
    func scalar(_ position: Int) -> (value: UInt32, end: Int) {
        let lead = UInt32(bytes[position])
        if lead < 0x80 { return (lead, position + 1) }
        if lead < 0xE0 { return ((lead & 0x1F) << 6 | tail(position + 1), position + 2) }
        if lead < 0xF0 {
            return ((lead & 0x0F) << 12 | tail(position + 1) << 6 | tail(position + 2), position + 3)
        }
        let high = (lead & 0x07) << 18 | tail(position + 1) << 12
        return (high | tail(position + 2) << 6 | tail(position + 3), position + 4)
    }

    @inline(__always)
    private func tail(_ position: Int) -> UInt32 { UInt32(bytes[position] & 0x3F) }
}

/// A piece of text together with the class table: what the scanners walk over.
struct ClassifiedText {
    let text: PieceText
    let table: UnsafeBufferPointer<UInt8>
    /// Where the piece ends; for a scanner nothing exists behind it.
    let end: Int

    /// The class of the character at `position`, and where the next one starts.
    @inline(__always)
    func next(_ position: Int) -> (kind: CharacterClass, end: Int) {
        let byte = text.bytes[position]
        if byte < 0x80 { return (CharacterClass(rawValue: table[Int(byte)]), position + 1) }
        return wide(position)
    }

    @inline(never)
    private func wide(_ position: Int) -> (kind: CharacterClass, end: Int) {
        let (value, end) = text.scalar(position)
        if value < CharacterClass.tableLimit { return (CharacterClass(rawValue: table[Int(value)]), end) }
        return (Unicode.Scalar(value).map { CharacterClass($0) } ?? [], end)
    }

    @inline(__always)
    func byte(_ position: Int) -> UInt8? { position < end ? text.bytes[position] : nil }

    /// The end of the run of characters from `position` on that have any of these classes.
    @inline(__always)
    func run(of classes: CharacterClass, from position: Int, limit: Int = .max) -> Int {
        var (at, left) = (position, limit)
        while at < end, left > 0 {
            let (kind, next) = next(at)
            if kind.isDisjoint(with: classes) { break }
            (at, left) = (next, left - 1)
        }
        return at
    }

    /// The end of the run of characters that have none of these classes.
    @inline(__always)
    func run(outside classes: CharacterClass, from position: Int) -> Int {
        var at = position
        while at < end {
            let (kind, next) = next(at)
            if !kind.isDisjoint(with: classes) { break }
            at = next
        }
        return at
    }

    /// The end of an English contraction (`'s`, `'t`, `'re`, `'ve`, `'m`, `'ll`, `'d`) that starts at `position`.
    ///
    /// Without regard to case, `'ſ` (long s) counts as `'s`, as case folding has it.
    @inline(__always)
    func contraction(_ position: Int, ignoringCase: Bool) -> Int? {
        guard byte(position) == UInt8(ascii: "'"), let raw = byte(position + 1) else { return nil }
        let fold: UInt8 = ignoringCase ? 0x20 : 0
        switch raw | fold {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
            return raw < 0x80 ? position + 2 : nil
        case UInt8(ascii: "r"), UInt8(ascii: "v"):
            return byte(position + 2).map { $0 | fold } == UInt8(ascii: "e") ? position + 3 : nil
        case UInt8(ascii: "l"):
            return byte(position + 2).map { $0 | fold } == UInt8(ascii: "l") ? position + 3 : nil
        default:
            return ignoringCase && raw == 0xC5 && byte(position + 2) == 0xBF ? position + 3 : nil
        }
    }

    /// The end of what `\s+(?!\S)|\s+` matches at `position`, given where the white space ends: a run before a word
    /// leaves its last character to that word.
    @inline(__always)
    func whitespaceEnd(from position: Int, run runEnd: Int) -> Int {
        if runEnd == end { return runEnd }
        var last = runEnd - 1
        while text.bytes[last] & 0xC0 == 0x80 { last -= 1 }
        return last > position ? last : runEnd
    }
}
