/// Which tokens of a rendered conversation are trained, decided by where they stand in the text and never by their value.
package enum LossMask {
    /// The tokens that stand for some byte of a stretch of text. A token that begins before the stretch and reaches into
    /// it counts: it is the only one that writes those bytes, and transformers' assistant masks hold it too.
    /// - Parameters:
    ///   - span: UTF-8 byte range of the text.
    ///   - ranges: The UTF-8 byte range of every token, in order.
    package static func tokens(in span: Range<Int>, ranges: [Range<Int>]) -> Range<Int> {
        let start = ranges.firstPlace { $0.upperBound > span.lowerBound }
        return start..<max(start, ranges.firstPlace { $0.lowerBound >= span.upperBound })
    }

    /// Shortens the tokens of a turn so that they end with its end-of-turn token: what a template writes behind it is
    /// white space that no model has to produce.
    /// - Parameters:
    ///   - turn: Tokens of one assistant turn.
    ///   - isSpecial: Whether the token at a position is a special one.
    ///   - isBlank: Whether the token at a position stands for white space only.
    /// - Returns: `nil` if the turn has no special token at its end.
    package static func trimmed(
        _ turn: Range<Int>, isSpecial: (Int) -> Bool, isBlank: (Int) -> Bool
    ) -> Range<Int>? {
        var end = turn.upperBound
        while end > turn.lowerBound {
            if isSpecial(end - 1) { return turn.lowerBound..<end }
            guard isBlank(end - 1) else { return nil }
            end -= 1
        }
        return nil
    }
}
