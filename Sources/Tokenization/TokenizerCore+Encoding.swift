/// From text to ids: added tokens are cut out, the rest is normalised, split into words, and the words are encoded.
extension TokenizerCore {
    func encode(_ text: String, addSpecialTokens: Bool, wantsRanges: Bool) -> EncodingOutput {
        var output = EncodingOutput(wantsRanges: wantsRanges)
        var text = text
        text.withUTF8 { bytes in
            output.ids.reserveCapacity(bytes.count / 3 + 8)
            if addSpecialTokens { output.append(postProcessor.prefix, at: 0) }
            var scratch = self.scratch.take()
            for split in verbatimMatcher.split(bytes) { encode(split, of: bytes, &scratch, &output) }
            self.scratch.giveBack(scratch)
            if addSpecialTokens { output.append(postProcessor.suffix, at: bytes.count) }
        }
        return output
    }

    private func encode(
        _ split: AddedTokenMatcher.Split, of bytes: UnsafeBufferPointer<UInt8>, _ scratch: inout EncodingScratch,
        _ output: inout EncodingOutput
    ) {
        let whole = PlacedText(bytes: bytes, origin: .shifted(by: 0))
        if split.token >= 0 {
            return output.append(split.token, PieceRange(start: split.start, end: split.end), of: whole)
        }
        let piece = PlacedText(
            bytes: UnsafeBufferPointer(rebasing: bytes[split.start..<split.end]), origin: .shifted(by: split.start))
        let keepsOrigin = output.wantsRanges || preTokenizer.asksForOrigin
        if !normalizers.isEmpty, let text = normalizers.apply(to: piece, keepsOrigin: keepsOrigin) {
            text.withText { encodeNormalized($0, &scratch, &output) }
        } else {
            encodeNormalized(piece, &scratch, &output)
        }
    }

    private func encodeNormalized(
        _ text: PlacedText, _ scratch: inout EncodingScratch, _ output: inout EncodingOutput
    ) {
        if normalizedMatcher.isEmpty { return encodeWords(text, text.whole, &scratch, &output) }
        for split in normalizedMatcher.split(text.bytes) {
            let piece = PieceRange(start: split.start, end: split.end)
            if split.token >= 0 {
                output.append(split.token, piece, of: text)
            } else {
                encodeWords(text, piece, &scratch, &output)
            }
        }
    }

    private func encodeWords(
        _ text: PlacedText, _ range: PieceRange, _ scratch: inout EncodingScratch, _ output: inout EncodingOutput
    ) {
        guard range.end > range.start else { return }
        preTokenizer.split(text, range, keepsOrigin: output.wantsRanges, scratch: &scratch) { text, scratch in
            model.encodePieces(of: text, scratch: &scratch, to: &output)
        }
    }
}
