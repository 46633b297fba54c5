/// From text to ids: added tokens are cut out, the rest is normalised, split into words, and the words are encoded.
extension TokenizerCore {
    /// Ids, and ranges if asked for.
    struct Output {
        var ids: [TokenID] = []
        var ranges: [Range<Int>] = []
        let wantsRanges: Bool
    }

    func encode(_ text: String, addSpecialTokens: Bool, wantsRanges: Bool) -> Output {
        var output = Output(wantsRanges: wantsRanges)
        var text = text
        text.withUTF8 { bytes in
            output.ids.reserveCapacity(bytes.count / 3 + 8)
            if addSpecialTokens { add(postProcessor.prefix, at: 0, to: &output) }
            var scratch = self.scratch.take()
            for split in verbatimMatcher.split(bytes) { encode(split, of: bytes, &scratch, &output) }
            self.scratch.giveBack(scratch)
            if addSpecialTokens { add(postProcessor.suffix, at: bytes.count, to: &output) }
        }
        return output
    }

    private func add(_ ids: [TokenID], at position: Int, to output: inout Output) {
        output.ids += ids
        if output.wantsRanges { output.ranges += ids.map { _ in position..<position } }
    }

    private func encode(
        _ split: AddedTokenMatcher.Split, of bytes: UnsafeBufferPointer<UInt8>, _ scratch: inout EncodingScratch,
        _ output: inout Output
    ) {
        if split.token >= 0 {
            output.ids.append(split.token)
            if output.wantsRanges { output.ranges.append(split.start..<split.end) }
            return
        }
        let piece = UnsafeBufferPointer(rebasing: bytes[split.start..<split.end])
        if !normalizers.isEmpty, let text = Normalizer.apply(normalizers, to: piece, offset: split.start) {
            text.bytes.withUnsafeBufferPointer { encodeNormalized($0, .mapped(text), &scratch, &output) }
        } else {
            encodeNormalized(piece, .shifted(by: split.start), &scratch, &output)
        }
    }

    private func encodeNormalized(
        _ bytes: UnsafeBufferPointer<UInt8>, _ origin: Origin, _ scratch: inout EncodingScratch,
        _ output: inout Output
    ) {
        if normalizedMatcher.isEmpty {
            return encodeWords(bytes, PieceRange(start: 0, end: bytes.count), origin, &scratch, &output)
        }
        for split in normalizedMatcher.split(bytes) {
            if split.token >= 0 {
                output.ids.append(split.token)
                if output.wantsRanges { output.ranges.append(origin.original(split.start..<split.end)) }
            } else {
                encodeWords(bytes, PieceRange(start: split.start, end: split.end), origin, &scratch, &output)
            }
        }
    }

    private func encodeWords(
        _ bytes: UnsafeBufferPointer<UInt8>, _ range: PieceRange, _ origin: Origin,
        _ scratch: inout EncodingScratch, _ output: inout Output
    ) {
        guard case .bytePairEncoding(let encoding) = model, range.end > range.start else { return }
        preTokenizer.split(bytes, range, origin: origin, scratch: &scratch) { bytes, origin, scratch in
            let words = scratch.pieces
            for word in words {
                let before = output.ids.count
                encoding.encode(bytes, word, scratch: &scratch, into: &output.ids)
                if output.wantsRanges {
                    encoding.appendRanges(of: output.ids[before...], bytes, word, origin, to: &output.ranges)
                }
            }
        }
    }
}

extension BytePairEncoding {
    /// Appends the range of each token of a word. Bytes that have no token lie in no range, or in the unknown
    /// token's.
    fileprivate func appendRanges(
        of ids: ArraySlice<TokenID>, _ text: UnsafeBufferPointer<UInt8>, _ word: PieceRange, _ origin: Origin,
        to ranges: inout [Range<Int>]
    ) {
        var at = word.start
        func isKnown(_ position: Int) -> Bool { byteTokens[Int(text[position])] >= 0 }
        for id in ids {
            if unknown == nil {
                while at < word.end, !isKnown(at) { at += 1 }
            }
            let start = at
            if id == unknown, at < word.end, !isKnown(at) {
                repeat { at += 1 } while fusesUnknown && at < word.end && !isKnown(at)
            } else {
                var left = byteCount(of: id)
                while at < word.end, left > 0 {
                    if isKnown(at) { left -= 1 }
                    at += 1
                }
            }
            ranges.append(origin.original(start..<at))
        }
    }
}
