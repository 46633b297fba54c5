/// A piece of text together with the class table: what the scanners walk over.
struct ClassifiedText {
    let text: PieceText
    let table: UnsafeBufferPointer<UInt16>
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
            return position + 2
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
