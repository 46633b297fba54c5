import Tokenization

extension ExampleEncoder {
    /// A text that is trained as a whole: beginning token as the tokenizer has it, end token if it has one.
    func encode(text: String) throws(DatasetProblemKind) -> LabelledTokens {
        try encode([Segment(text, isTrained: true)])
    }

    /// A prompt that is read and a response that is trained, the end token with it.
    func encode(prompt: String, response: String) throws(DatasetProblemKind) -> LabelledTokens {
        if let tokenizer, tokenizer.specialTokens.eos == nil { throw .noEndToken }
        return try encode([Segment(prompt, isTrained: false), Segment(response, isTrained: true)])
    }

    /// Pieces of one text: beginning token as the tokenizer has it, end token if it has one, trained if the last piece
    /// is.
    func encode(_ segments: [Segment]) throws(DatasetProblemKind) -> LabelledTokens {
        guard let tokenizer else { throw .noTokenizer }
        var (ids, isTrained) = joined(segments, tokenizer)
        if let end = tokenizer.specialTokens.eos?.id {
            if ids.last != end {
                ids.append(end)
                isTrained.append(false)
            }
            isTrained[isTrained.count - 1] = segments.last?.isTrained ?? false
        }
        try checkBeginning(ids, tokenizer)
        let isAll = options.trainOn == .all
        return LabelledTokens(
            ids: ids, labels: zip(ids, isTrained).map { isAll || $1 ? $0 : TokenBatch.ignoredLabel })
    }

    /// All pieces as ids, and which of these are trained.
    ///
    /// They are encoded as one text, so that a tokenizer that marks the start of a text does not mark every piece.
    /// Where a token would straddle the boundary between what is read and what is trained, they are encoded apart
    /// instead: what is read then ends as it will when the model is asked, and all that is trained is learnt.
    private func joined(_ segments: [Segment], _ tokenizer: Tokenizer) -> (ids: [Int32], isTrained: [Bool]) {
        let whole = tokenizer.encodeWithOffsets(segments.map(\.text).joined(), addSpecialTokens: true)
        var ends: [(byte: Int, isTrained: Bool)] = []
        for segment in segments {
            let start = ends.last?.byte ?? 0
            if let last = ends.last, last.isTrained == segment.isTrained { ends.removeLast() }
            ends.append((start + segment.text.utf8.count, segment.isTrained))
        }
        let boundaries = ends.dropLast().map(\.byte)
        let straddles = whole.ranges.contains { range in
            boundaries.contains { range.lowerBound < $0 && range.upperBound > $0 }
        }
        if !straddles {
            // A token that stands for no byte, such as one that begins every text, belongs to nobody.
            let isTrained = whole.ranges.map { range in
                !range.isEmpty && ends.first { $0.byte >= range.upperBound }?.isTrained ?? false
            }
            return (whole.ids, isTrained)
        }
        return apart(segments, tokenizer)
    }

    private func apart(_ segments: [Segment], _ tokenizer: Tokenizer) -> (ids: [Int32], isTrained: [Bool]) {
        var (ids, isTrained): ([Int32], [Bool]) = ([], [])
        for (number, segment) in segments.enumerated() {
            var piece = tokenizer.encode(segment.text, addSpecialTokens: number == 0)
            if number == 0, piece.last == tokenizer.specialTokens.eos?.id { piece.removeLast() }
            ids += piece
            isTrained += piece.map { _ in segment.isTrained }
        }
        return (ids, isTrained)
    }

    /// Refuses a beginning token that stands twice.
    func checkBeginning(_ ids: [Int32], _ tokenizer: Tokenizer) throws(DatasetProblemKind) {
        guard let beginning = tokenizer.specialTokens.bos, ids.count > 1, ids[0] == beginning.id,
            ids[1] == beginning.id
        else { return }
        throw .doubledBOS(token: beginning.text)
    }
}
