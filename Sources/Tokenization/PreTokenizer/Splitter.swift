/// One splitting step.
struct Splitter: Sendable {
    let pattern: SplitPattern
    let behavior: SplitBehavior
    /// Takes what the pattern does not match for matches, and the other way round.
    let isInverted: Bool

    /// Appends the pieces into which `range` falls apart.
    func split(_ bytes: UnsafeBufferPointer<UInt8>, _ range: PieceRange, into pieces: inout [PieceRange]) {
        if case .scanner(let scanner) = pattern, behavior == .isolated {
            return CharacterClass.table.withUnsafeBufferPointer { table in
                let text = ClassifiedText(text: PieceText(bytes), table: table, end: range.end)
                scanner.scan(text, from: range.start, into: &pieces)
            }
        }
        let segments = segments(bytes, range)
        let merged: [PieceRange]
        switch behavior {
        case .isolated: merged = segments.map(\.range)
        case .removed: merged = segments.filter { !$0.isMatch }.map(\.range)
        case .contiguous: merged = Self.merge(segments) { $0 == $1 }
        case .mergedWithPrevious: merged = Self.merge(segments) { previous, isMatch in isMatch && !previous }
        case .mergedWithNext: merged = Self.mergeBackwards(segments)
        }
        for piece in merged where piece.end > piece.start { pieces.append(piece) }
    }

    private struct Segment {
        var range: PieceRange
        var isMatch: Bool
    }

    /// Joins a segment to the one before it where `joins` (of both segments' match flags) says so.
    private static func merge(_ segments: [Segment], _ joins: (Bool, Bool) -> Bool) -> [PieceRange] {
        var merged: [PieceRange] = []
        var previous: Bool?
        for segment in segments {
            if !merged.isEmpty, let previous, joins(previous, segment.isMatch) {
                merged[merged.count - 1].end = segment.range.end
            } else {
                merged.append(segment.range)
            }
            previous = segment.isMatch
        }
        return merged
    }

    private static func mergeBackwards(_ segments: [Segment]) -> [PieceRange] {
        var merged: [PieceRange] = []
        var previous: Bool?
        for segment in segments.reversed() {
            if !merged.isEmpty, segment.isMatch, previous == false {
                merged[merged.count - 1].start = segment.range.start
            } else {
                merged.append(segment.range)
            }
            previous = segment.isMatch
        }
        return merged.reversed()
    }

    /// Matches and what lies between them, in order, covering `range`.
    private func segments(_ bytes: UnsafeBufferPointer<UInt8>, _ range: PieceRange) -> [Segment] {
        var segments: [Segment] = []
        var covered = range.start
        for match in matches(bytes, range) {
            if covered < match.start {
                segments.append(Segment(range: PieceRange(start: covered, end: match.start), isMatch: isInverted))
            }
            segments.append(Segment(range: match, isMatch: !isInverted))
            covered = match.end
        }
        if covered < range.end {
            segments.append(Segment(range: PieceRange(start: covered, end: range.end), isMatch: isInverted))
        }
        return segments
    }

    private func matches(_ bytes: UnsafeBufferPointer<UInt8>, _ range: PieceRange) -> [PieceRange] {
        switch pattern {
        case .regex(let matcher): return matcher.matches(in: bytes, range)
        case .literal(let text): return Self.occurrences(of: text, bytes, range)
        case .scanner, .characters:
            return CharacterClass.table.withUnsafeBufferPointer { table in
                let text = ClassifiedText(text: PieceText(bytes), table: table, end: range.end)
                return Self.matches(of: pattern, text, from: range.start)
            }
        }
    }

    private static func matches(of pattern: SplitPattern, _ text: ClassifiedText, from start: Int) -> [PieceRange] {
        var found: [PieceRange] = []
        switch pattern {
        case .scanner(let scanner): scanner.scan(text, from: start, into: &found)
        case .characters(let kinds):
            var at = start
            while at < text.end {
                let (kind, next) = text.next(at)
                if !kind.isDisjoint(with: kinds) { found.append(PieceRange(start: at, end: next)) }
                at = next
            }
        case .regex, .literal: break
        }
        return found
    }

    private static func occurrences(
        of text: [UInt8], _ bytes: UnsafeBufferPointer<UInt8>, _ range: PieceRange
    ) -> [PieceRange] {
        var found: [PieceRange] = []
        guard !text.isEmpty else { return found }
        var at = range.start
        while at + text.count <= range.end {
            if bytes[at] == text[0], bytes[at..<(at + text.count)].elementsEqual(text) {
                found.append(PieceRange(start: at, end: at + text.count))
                at += text.count
            } else {
                at += 1
            }
        }
        return found
    }
}
