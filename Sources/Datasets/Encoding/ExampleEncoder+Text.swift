import Tokenization

extension ExampleEncoder {
    /// A text that is trained as a whole: beginning token as the tokenizer has it, end token if it has one.
    func encode(text: String) throws(DatasetProblemKind) -> (ids: [Int32], labels: [Int32]) {
        guard let tokenizer else { throw .noTokenizer }
        var ids = tokenizer.encode(text, addSpecialTokens: true)
        if let end = tokenizer.specialTokens.eos?.id, ids.last != end { ids.append(end) }
        try checkBeginning(ids, tokenizer)
        return (ids, ids)
    }

    /// A prompt that is read and a response that is trained, the end token with it.
    func encode(prompt: String, response: String) throws(DatasetProblemKind) -> (ids: [Int32], labels: [Int32]) {
        guard let tokenizer else { throw .noTokenizer }
        guard let end = tokenizer.specialTokens.eos?.id else { throw .noEndToken }
        var (ids, promptCount) = joined(prompt, response, tokenizer)
        if ids.last != end { ids.append(end) }
        try checkBeginning(ids, tokenizer)
        var labels = ids
        if options.trainOn != .all {
            for position in 0..<min(promptCount, ids.count - 1) { labels[position] = TokenBatch.ignoredLabel }
        }
        return (ids, labels)
    }

    /// Both texts as ids, and how many of these belong to the prompt.
    ///
    /// They are encoded as one text, so that a tokenizer that marks the start of a text does not mark the response.
    /// Where a token would straddle the boundary they are encoded apart instead: the prompt then ends as it will when
    /// the model is asked, and the whole response is trained.
    private func joined(_ prompt: String, _ response: String, _ tokenizer: Tokenizer) -> (ids: [Int32], prompt: Int) {
        let boundary = prompt.utf8.count
        let whole = tokenizer.encodeWithOffsets(prompt + response, addSpecialTokens: true)
        let straddles = whole.ranges.contains { $0.lowerBound < boundary && $0.upperBound > boundary }
        if !straddles {
            let responseStart = whole.ranges.firstIndex { $0.upperBound > boundary } ?? whole.ids.count
            return (whole.ids, responseStart)
        }
        var ids = tokenizer.encode(prompt, addSpecialTokens: true)
        if ids.last == tokenizer.specialTokens.eos?.id { ids.removeLast() }
        let promptCount = ids.count
        return (ids + tokenizer.encode(response, addSpecialTokens: false), promptCount)
    }

    /// Refuses a beginning token that stands twice.
    func checkBeginning(_ ids: [Int32], _ tokenizer: Tokenizer) throws(DatasetProblemKind) {
        guard let beginning = tokenizer.specialTokens.bos, ids.count > 1, ids[0] == beginning.id,
            ids[1] == beginning.id
        else { return }
        throw .doubledBOS(token: beginning.text)
    }
}
