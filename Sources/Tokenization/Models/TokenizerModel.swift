/// The `model` of tokenizer.json: how a piece of text becomes ids. One case and one file per kind.
enum TokenizerModel: Sendable {
    case bytePairEncoding(BytePairEncoding)
    case unigram(Unigram)
    case wordPiece(WordPiece)
    case wordLevel(WordLevel)

    /// Appends the ids of the pieces in `scratch.pieces`.
    func encodePieces(of text: PlacedText, scratch: inout EncodingScratch, to output: inout EncodingOutput) {
        let pieces = scratch.pieces
        switch self {
        case .bytePairEncoding(let model):
            for piece in pieces {
                let before = output.ids.count
                model.encode(text.bytes, piece, scratch: &scratch, into: &output.ids)
                if output.wantsRanges { model.appendRanges(of: output.ids[before...], text, piece, to: &output.ranges) }
            }
        case .unigram(let model):
            for piece in pieces { model.encode(text, piece, scratch: &scratch, to: &output) }
        case .wordPiece(let model):
            for piece in pieces { model.encode(text, piece, to: &output) }
        case .wordLevel(let model):
            for piece in pieces { model.encode(text, piece, to: &output) }
        }
    }
}
