/// One splitting step.
struct Splitter: Sendable {
    let pattern: SplitPattern
    let behavior: SplitBehavior
    /// Takes what the pattern does not match for matches, and the other way round.
    var isInverted = false

    /// Appends the pieces into which `range` falls apart.
    func split(_ bytes: UnsafeBufferPointer<UInt8>, _ range: PieceRange, into pieces: inout [PieceRange]) {
        if case .scanner(let scanner) = pattern, scanner.coversText, behavior == .isolated {
            return CharacterClass.table.withUnsafeBufferPointer { table in
                let text = ClassifiedText(text: PieceText(bytes), table: table, end: range.end)
                scanner.scan(text, from: range.start, into: &pieces)
            }
        }
        let matches = pattern.matches(in: bytes, range)
        if matches.isEmpty, !(isInverted && behavior == .removed) { return pieces.append(range) }
        let segments = segments(matches, range)
        switch behavior {
        case .isolated: append(segments.lazy.map(\.range), &pieces)
        case .removed: append(segments.lazy.filter { !$0.isMatch }.map(\.range), &pieces)
        case .contiguous: append(Self.merge(segments) { $0 == $1 }, &pieces)
        case .mergedWithPrevious:
            append(Self.merge(segments) { previous, isMatch in isMatch && !previous }, &pieces)
        case .mergedWithNext: append(Self.mergeBackwards(segments), &pieces)
        }
    }

    private func append(_ ranges: some Sequence<PieceRange>, _ pieces: inout [PieceRange]) {
        for piece in ranges where piece.end > piece.start { pieces.append(piece) }
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
    private func segments(_ matches: [PieceRange], _ range: PieceRange) -> [Segment] {
        var segments: [Segment] = []
        segments.reserveCapacity(2 * matches.count + 1)
        var covered = range.start
        for match in matches {
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
}
