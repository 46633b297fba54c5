/// A stretch of text in byte positions.
struct PieceRange: Sendable, Hashable {
    var start: Int
    var end: Int
}

/// What splits and replacements look for.
enum SplitPattern: Sendable {
    case scanner(SplitScanner)
    case regex(RegexMatcher)
    /// This text, literally.
    case literal([UInt8])
    /// Single characters of this class.
    case characters(CharacterClass)
    /// A character at least so many times in a row; several matches of one character each if it does not repeat.
    case run(RunPattern)

    /// Reads the `pattern` of a component: `{"String": …}` or `{"Regex": …}`.
    init(_ fields: JSONFields) throws(TokenizationError) {
        let pattern = try fields.fields("pattern")
        if pattern.present("String") != nil {
            let text = Array(try pattern.string("String").utf8)
            // As everywhere in regular expressions, nothing is found between all characters.
            guard text.isEmpty, let matcher = RegexMatcher("(?:)") else {
                self = .literal(text)
                return
            }
            self = .regex(matcher)
            return
        }
        let expression = try pattern.string("Regex")
        if let scanner = SplitScanner(pattern: expression) {
            self = .scanner(scanner)
        } else if let run = RunPattern(expression) {
            self = .run(run)
        } else if let matcher = RegexMatcher(expression) {
            self = .regex(matcher)
        } else {
            throw .invalidPattern(place: pattern.place, pattern: expression)
        }
    }

    /// The matches in a range, in order, for which nothing exists outside of the range.
    func matches(in bytes: UnsafeBufferPointer<UInt8>, _ range: PieceRange) -> [PieceRange] {
        switch self {
        case .regex(let matcher): return matcher.matches(in: bytes, range)
        case .literal(let text): return Self.occurrences(of: text, bytes, range)
        case .scanner, .characters, .run:
            return CharacterClass.table.withUnsafeBufferPointer { table in
                matches(ClassifiedText(text: PieceText(bytes), table: table, end: range.end), from: range.start)
            }
        }
    }

    private func matches(_ text: ClassifiedText, from start: Int) -> [PieceRange] {
        var found: [PieceRange] = []
        switch self {
        case .scanner(let scanner): scanner.scan(text, from: start, into: &found)
        case .characters(let kinds):
            var at = start
            while at < text.end {
                let (kind, next) = text.next(at)
                if !kind.isDisjoint(with: kinds) { found.append(PieceRange(start: at, end: next)) }
                at = next
            }
        case .run(let run): run.scan(text, from: start, into: &found)
        case .regex, .literal: break
        }
        return found
    }

    private static func occurrences(
        of text: [UInt8], _ bytes: UnsafeBufferPointer<UInt8>, _ range: PieceRange
    ) -> [PieceRange] {
        var found: [PieceRange] = []
        guard let first = text.first else { return found }
        var at = range.start
        while at + text.count <= range.end {
            if bytes[at] == first, bytes[at..<(at + text.count)].elementsEqual(text) {
                found.append(PieceRange(start: at, end: at + text.count))
                at += text.count
            } else {
                at += 1
            }
        }
        return found
    }
}

/// What happens to the matches of a split; the names are those of tokenizer.json.
enum SplitBehavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"

    init(_ fields: JSONFields, default fallback: SplitBehavior? = nil) throws(TokenizationError) {
        if fields.present("behavior") == nil, let fallback {
            self = fallback
            return
        }
        let name = try fields.string("behavior")
        guard let behavior = SplitBehavior(rawValue: name) else {
            throw .malformed(
                place: "\(fields.place).behavior", found: "\"\(name)\"",
                expected: "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous")
        }
        self = behavior
    }
}
