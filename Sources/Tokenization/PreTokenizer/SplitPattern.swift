/// A stretch of text in byte positions.
struct PieceRange: Sendable, Hashable {
    var start: Int
    var end: Int
}

/// What a pre-tokeniser looks for.
enum SplitPattern: Sendable {
    case scanner(SplitScanner)
    case regex(RegexMatcher)
    /// This text, literally.
    case literal([UInt8])
    /// Single characters of this class.
    case characters(CharacterClass)
}

/// What happens to the matches of a split; the names are those of tokenizer.json.
enum SplitBehavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
}
