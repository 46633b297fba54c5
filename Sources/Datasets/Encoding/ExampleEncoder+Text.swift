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
        var (ids, weights) = joined(segments, tokenizer)
        if let end = tokenizer.specialTokens.eos?.id {
            if ids.last != end {
                ids.append(end)
                weights.append(0)
            }
            weights[weights.count - 1] = segments.last?.weight ?? 0
        }
        try checkBeginning(ids, tokenizer)
        if options.trainOn == .all { weights = weights.map { $0 == 0 ? 1 : $0 } }
        let areAlike = weights.allSatisfy { $0 == 0 || $0 == 1 }
        return LabelledTokens(
            ids: ids, labels: zip(ids, weights).map { $1 > 0 ? $0 : TokenBatch.ignoredLabel },
            weights: areAlike ? [] : weights)
    }

    /// All pieces as ids, and how much each of these counts.
    ///
    /// They are encoded as one text, so that a tokenizer that marks the start of a text does not mark every piece.
    /// Where a token would straddle the boundary between what is read and what is trained, they are encoded apart
    /// instead: what is read then ends as it will when the model is asked, and all that is trained is learnt.
    private func joined(_ segments: [Segment], _ tokenizer: Tokenizer) -> (ids: [Int32], weights: [Float]) {
        let whole = tokenizer.encodeWithOffsets(segments.map(\.text).joined(), addSpecialTokens: true)
        var ends: [(byte: Int, weight: Float)] = []
        for segment in segments {
            let start = ends.last?.byte ?? 0
            if let last = ends.last, last.weight == segment.weight { ends.removeLast() }
            ends.append((start + segment.text.utf8.count, segment.weight))
        }
        let boundaries = ends.dropLast().map(\.byte)
        let straddles = whole.ranges.contains { range in
            let next = boundaries.firstPlace { $0 > range.lowerBound }
            return next < boundaries.count && range.upperBound > boundaries[next]
        }
        if !straddles {
            // A token that stands for no byte, such as one that begins every text, belongs to nobody.
            let weights = whole.ranges.map { range in
                let piece = ends.firstPlace { $0.byte >= range.upperBound }
                return range.isEmpty || piece == ends.count ? 0 : ends[piece].weight
            }
            return (whole.ids, weights)
        }
        return apart(segments, tokenizer)
    }

    private func apart(_ segments: [Segment], _ tokenizer: Tokenizer) -> (ids: [Int32], weights: [Float]) {
        var (ids, weights): ([Int32], [Float]) = ([], [])
        for (number, segment) in segments.enumerated() {
            var piece = tokenizer.encode(segment.text, addSpecialTokens: number == 0)
            if number == 0, piece.last == tokenizer.specialTokens.eos?.id { piece.removeLast() }
            ids += piece
            weights += piece.map { _ in segment.weight }
        }
        return (ids, weights)
    }

    /// Refuses a beginning token that stands twice.
    func checkBeginning(_ ids: [Int32], _ tokenizer: Tokenizer) throws(DatasetProblemKind) {
        guard let beginning = tokenizer.specialTokens.bos, ids.count > 1, ids[0] == beginning.id,
            ids[1] == beginning.id
        else { return }
        throw .doubledBOS(token: beginning.text)
    }
}
