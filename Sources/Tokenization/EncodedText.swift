/// Ids together with the places in the text that they stand for.
public struct EncodedText: Sendable, Hashable {
    /// The ids.
    public internal(set) var ids: [TokenID] = []
    /// For each id, its bytes in the UTF-8 form of the text. Put one after the other they cover the text, unless the
    /// vocabulary has no token for some byte; a range may begin inside a character. Tokens that were added around the
    /// text have empty ranges at its start or end. Where normalisation changed a character, the tokens made of it all
    /// have the range of the whole character.
    public internal(set) var ranges: [Range<Int>] = []
}
