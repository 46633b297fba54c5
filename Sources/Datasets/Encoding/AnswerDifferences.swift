import Tokenization

/// Where the text of a conversation begins to differ if a part of one answer is another.
///
/// One rendering for every answer would take time with the square of their number. So of many answers half are changed
/// at once, in several ways to halve them, each pair of answers being told apart by one of them. If every rendering is
/// the unchanged one but for the turns that were changed, and each of these always becomes the same text, then turns
/// do not depend on each other, and the text with one answer changed need not be rendered. Otherwise it is.
package struct AnswerDifferences {
    /// A turn of an answer in UTF-8 bytes of the text.
    package typealias Turn = (message: Int, utf8: Range<Int>)

    /// Answers from which on several are changed at once; of fewer, one at a time takes as long.
    package static let fewest = 8

    private var starts: [AnswerPart: [Int: Int]] = [:]

    /// - Parameters:
    ///   - turns: The answers that matter, in the order of the text.
    ///   - fewest: Answers from which on several are changed at once.
    package init(
        _ rendered: RenderedTurns, turns: [Turn], renderer: ConversationRenderer, fewest: Int = AnswerDifferences.fewest
    ) {
        let answers = turns.map { Answer(rendered.conversation.messages[$0.message]) }
        let isOrdered = zip(turns, turns.dropFirst()).allSatisfy { $0.message < $1.message }
        for part in AnswerPart.allCases {
            let chosen = turns.indices.filter { answers[$0].has(part) }
            let probes = chosen.map { Probe(turn: turns[$0], variants: answers[$0].withOther(part)) }
            let isApart = rendered.isServed || !isOrdered || probes.count < max(2, fewest)
            let found = isApart ? nil : Together(rendered, renderer).starts(probes)
            let each = found ?? probes.map { Self.start($0, rendered, renderer) }
            for (probe, start) in zip(probes, each) { starts[part, default: [:]][probe.turn.message] = start }
        }
    }

    /// The first byte that is another; `nil` if the template renders no other words there, or there is no such part.
    package subscript(part: AnswerPart, message: Int) -> Int? { starts[part]?[message] }

    /// An answer and what is put in its place.
    fileprivate struct Probe {
        let turn: Turn
        let variants: [Message]
    }

    /// The same from renderings in which nothing else is changed.
    private static func start(_ probe: Probe, _ rendered: RenderedTurns, _ renderer: ConversationRenderer) -> Int? {
        let common = probe.variants.compactMap { variant in
            renderer.text(of: rendered, replacing: [probe.turn.message: variant]).map(rendered.text.commonBytes)
        }
        return common.count == probe.variants.count ? common.min() : nil
    }
}

/// Changes many answers at once.
private struct Together {
    private let rendered: RenderedTurns
    private let renderer: ConversationRenderer
    private let text: [UInt8]

    init(_ rendered: RenderedTurns, _ renderer: ConversationRenderer) {
        (self.rendered, self.renderer, text) = (rendered, renderer, Array(rendered.text.utf8))
    }

    /// Where the text begins to differ, for each answer; `nil` where it cannot be told so.
    func starts(_ probes: [AnswerDifferences.Probe]) -> [Int?]? {
        guard let count = probes.first?.variants.count, count > 0, probes.allSatisfy({ $0.variants.count == count }) else {
            return nil
        }
        var least = [Int](repeating: .max, count: probes.count)
        for variant in 0..<count {
            guard let others = otherTurns(probes, variant) else { return nil }
            for at in probes.indices { least[at] = min(least[at], common(probes[at].turn.utf8, others[at])) }
        }
        return least
    }

    /// What each turn becomes when its answer is changed.
    private func otherTurns(_ probes: [AnswerDifferences.Probe], _ variant: Int) -> [ArraySlice<UInt8>]? {
        var others = [ArraySlice<UInt8>](repeating: [], count: probes.count)
        for bit in 0..<(Int.bitWidth - (probes.count - 1).leadingZeroBitCount) {
            for side in 0...1 {
                let half = probes.indices.filter { $0 >> bit & 1 == side }
                let messages = half.map { (probes[$0].turn.message, probes[$0].variants[variant]) }
                let changed = Dictionary(uniqueKeysWithValues: messages)
                guard let other = renderer.text(of: rendered, replacing: changed).map({ Array($0.utf8) }) else { return nil }
                let places = half.map { probes[$0].turn.utf8 }
                if bit > 0 {
                    guard other == replacing(places, with: half.map { others[$0] }) else { return nil }
                } else {
                    // Every second one: an answer that is as it was stands between any two that are not.
                    guard let pieces = pieces(of: other, at: places) else { return nil }
                    for (at, piece) in zip(half, pieces) { others[at] = piece }
                }
            }
        }
        return others
    }

    /// What stands in another text at places of the text, if it is the same everywhere else.
    private func pieces(of other: [UInt8], at places: [Range<Int>]) -> [ArraySlice<UInt8>]? {
        guard let first = places.first, other.starts(with: text[..<first.lowerBound]) else { return nil }
        var pieces: [ArraySlice<UInt8>] = []
        var start = first.lowerBound
        for (place, next) in zip(places, places.dropFirst()) {
            let between = text[place.upperBound..<next.lowerBound]
            guard let end = other.firstPlace(of: between, from: start) else { return nil }
            pieces.append(other[start..<end])
            start = end + between.count
        }
        let rest = text[(places.last ?? first).upperBound...]
        let end = other.count - rest.count
        guard end >= start, other[end...] == rest else { return nil }
        return pieces + [other[start..<end]]
    }

    private func replacing(_ places: [Range<Int>], with pieces: [ArraySlice<UInt8>]) -> [UInt8] {
        var (result, start) = ([UInt8](), 0)
        for (place, piece) in zip(places, pieces) {
            result += text[start..<place.lowerBound]
            result += piece
            start = place.upperBound
        }
        return result + text[start...]
    }

    /// How many bytes the text has in common with one in which a turn is another; beyond the turn it does not matter.
    private func common(_ turn: Range<Int>, _ other: ArraySlice<UInt8>) -> Int {
        let rest = text[turn.upperBound...]
        let same = zip(text[turn], other).prefix { $0 == $1 }.count
        guard same == other.count else { return turn.lowerBound + same }
        return turn.lowerBound + same + zip(text[(turn.lowerBound + same)...], rest).prefix { $0 == $1 }.count
    }
}

extension [UInt8] {
    /// The first place of `piece` that does not begin before `start`.
    fileprivate func firstPlace(of piece: ArraySlice<UInt8>, from start: Int) -> Int? {
        var at = start
        while at + piece.count <= count {
            if self[at..<(at + piece.count)] == piece { return at }
            at += 1
        }
        return nil
    }
}
