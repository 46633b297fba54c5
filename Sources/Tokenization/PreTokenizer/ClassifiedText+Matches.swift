/// What each split pattern matches at a position.
extension ClassifiedText {
    @inline(__always)
    func gpt2Match(_ start: Int) -> Int {
        if let end = contraction(start, ignoringCase: false) { return end }
        let (first, second) = next(start)
        var (kind, at) = (first, second)
        if text.bytes[start] == 0x20, second < end { (kind, at) = next(second) }
        if kind.contains(.letter) { return run(of: .letter, from: at) }
        if kind.contains(.number) { return run(of: .number, from: at) }
        if !kind.contains(.space) { return run(outside: [.letter, .number, .space], from: at) }
        return whitespaceEnd(from: start, run: run(of: .space, from: second))
    }

    @inline(__always)
    func llama3Match(_ start: Int, digits: Int, word: CharacterClass) -> Int {
        if let end = contraction(start, ignoringCase: true) { return end }
        let (kind, second) = next(start)
        if kind.contains(.letter) { return run(of: word, from: second) }
        if kind.contains(.number) { return run(of: .number, from: second, limit: digits - 1) }
        if !kind.contains(.newline), second < end, !next(second).kind.isDisjoint(with: word) {
            return run(of: word, from: second)
        }
        if !kind.isDisjoint(with: word) { return second }
        return symbolsOrSpaces(start, second, words: word.union([.number, .space]), slashes: false)
    }

    /// ` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`, with the slash among the line ends if asked for.
    @inline(__always)
    private func symbolsOrSpaces(_ start: Int, _ second: Int, words: CharacterClass, slashes: Bool) -> Int {
        var symbols = start
        if text.bytes[start] == 0x20 { symbols = second }
        if symbols < end, next(symbols).kind.isDisjoint(with: words) {
            var at = run(outside: words, from: symbols)
            while at < end, isLineEnd(text.bytes[at]) || slashes && text.bytes[at] == UInt8(ascii: "/") { at += 1 }
            return at
        }
        return spaces(start, second)
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+`, where the first character is white space.
    @inline(__always)
    private func spaces(_ start: Int, _ second: Int) -> Int {
        let runEnd = run(of: .space, from: second)
        var newline = runEnd
        while newline > start, !isLineEnd(text.bytes[newline - 1]) { newline -= 1 }
        return newline > start ? newline : whitespaceEnd(from: start, run: runEnd)
    }

    @inline(__always)
    private func isLineEnd(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

    @inline(__always)
    func casedMatch(_ start: Int, digits: Int, contractions: Bool) -> Int {
        let (kind, second) = next(start)
        let mayLead = kind.isDisjoint(with: [.newline, .letter, .number])
        let word =
            (mayLead ? lowerWord(second) : nil) ?? lowerWord(start) ?? (mayLead ? upperWord(second) : nil)
            ?? upperWord(start)
        if let word { return contractions ? contraction(word, ignoringCase: true) ?? word : word }
        if kind.contains(.number) { return run(of: .number, from: second, limit: digits - 1) }
        return symbolsOrSpaces(start, second, words: [.letter, .number, .space], slashes: true)
    }

    /// The main pattern of DeepSeek-V3; numbers, control characters and the like are no match.
    @inline(__always)
    func deepSeekMatch(_ start: Int) -> Int? {
        let word: CharacterClass = [.letter, .mark]
        let (kind, second) = next(start)
        if kind.contains(.symbol), text.bytes[start] < 0x80 {
            var at = second
            while let letter = byte(at), 0x61...0x7A ~= letter | 0x20 { at += 1 }
            if at > second { return at }
        }
        if kind.contains(.letter) { return run(of: word, from: second) }
        if kind.isDisjoint(with: [.newline, .symbol]), second < end, !next(second).kind.isDisjoint(with: word) {
            return run(of: word, from: second)
        }
        if kind.contains(.mark) { return second }
        let symbols = text.bytes[start] == 0x20 ? second : start
        if symbols < end, next(symbols).kind.contains(.symbol) {
            var at = run(of: .symbol, from: symbols)
            while at < end, isLineEnd(text.bytes[at]) { at += 1 }
            return at
        }
        return kind.contains(.space) ? spaces(start, second) : nil
    }

    /// `\w+|[^\w\s]+`
    @inline(__always)
    func wordsMatch(_ start: Int) -> Int? {
        let (kind, second) = next(start)
        if kind.contains(.word) { return run(of: .word, from: second) }
        return kind.contains(.space) ? nil : run(outside: [.word, .space], from: second)
    }

    /// `[一-龥぀-ゟ゠-ヿ]+`
    @inline(__always)
    func ideographsMatch(_ start: Int) -> Int? {
        var at = start
        while at < end {
            let (value, next) = text.scalar(at)
            guard 0x4E00...0x9FA5 ~= value || 0x3040...0x30FF ~= value else { break }
            at = next
        }
        return at > start ? at : nil
    }

    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
    ///
    /// Where no lower-case character follows the first run, the run gives back as much as is needed for its last
    /// character that is in both sets to be the second one.
    @inline(__always)
    private func lowerWord(_ start: Int) -> Int? {
        var (at, shared): (Int, Int?) = (start, nil)
        while at < end {
            let (kind, next) = next(at)
            if !kind.contains(.upper) { break }
            if kind.contains(.lower) { shared = next }
            at = next
        }
        let lowered = run(of: .lower, from: at)
        return lowered > at ? lowered : shared
    }

    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
    @inline(__always)
    private func upperWord(_ start: Int) -> Int? {
        let uppered = run(of: .upper, from: start)
        return uppered > start ? run(of: .lower, from: uppered) : nil
    }
}
