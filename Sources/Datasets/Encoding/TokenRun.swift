public import Tokenization

/// Neighbouring tokens of an example that are all trained or all not, and all special or all not.
public struct TokenRun: Sendable, Equatable {
    /// Their text, special tokens written out.
    public let text: String
    /// Whether they are trained.
    public let isTrained: Bool
    /// Whether they are special tokens.
    public let isSpecial: Bool
}

extension EncodedExample {
    /// The example as the model sees it. The texts put together are what decoding gives; a character that is spread
    /// over several tokens stands with the last of them. Without a tokenizer, ids stand for texts.
    public func runs(_ tokenizer: Tokenizer?) -> [TokenRun] {
        var runs: [TokenRun] = []
        var decoder = tokenizer.map { StreamingDecoder($0) }
        for (position, id) in ids.enumerated() {
            let text = decoder?.append(id) ?? "\(id) "
            let (isTrained, isSpecial) = (
                labels[position] != TokenBatch.ignoredLabel, tokenizer?.isSpecial(id) ?? false
            )
            let rest = position == ids.count - 1 ? decoder?.finish() ?? "" : ""
            if let last = runs.last, last.isTrained == isTrained, last.isSpecial == isSpecial {
                runs[runs.count - 1] = TokenRun(
                    text: last.text + text + rest, isTrained: isTrained, isSpecial: isSpecial)
            } else {
                runs.append(TokenRun(text: text + rest, isTrained: isTrained, isSpecial: isSpecial))
            }
        }
        return runs
    }
}
