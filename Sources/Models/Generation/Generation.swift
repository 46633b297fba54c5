import Autograd
import Layers
public import TensorCore

/// Tokens that a model adds to a prompt.
public struct Generation: Sendable {
    /// Why it ended.
    public enum StopReason: String, Sendable {
        /// The model produced a token that ends an answer.
        case endOfText = "stop"
        /// As many tokens as allowed.
        case length
        /// The receiver of the tokens asked for an end.
        case cancelled
    }

    /// The new ids, without the prompt and without the token that ended the answer.
    public let ids: [Int32]
    /// Why it ended.
    public let stopReason: StopReason

    /// Reads the prompt at once and then adds token after token, with a cache of keys and values.
    /// - Parameters:
    ///   - prompt: at least one id.
    ///   - stopTokens: ids that end the answer.
    ///   - receive: gets every new id as it comes; `false` ends the generation.
    public init(
        from model: any CausalLanguageModel, prompt: [Int32], maxTokens: Int, stopTokens: Set<Int32>,
        sampler: TokenSampler, on compute: Compute, receive: (Int32) -> Bool = { _ in true }
    ) {
        precondition(!prompt.isEmpty, "generation needs a prompt of at least one token")
        var (ids, sampler, input) = ([Int32](), sampler, prompt)
        var cache = KeyValueCache()
        while ids.count < maxTokens {
            if !model.cacheStaysValid(from: cache.count, to: cache.count + input.count) {
                cache = KeyValueCache()
                input = prompt + ids
            }
            let layout = SequenceLayout(count: input.count, after: cache.count)
            let token = sampler.next(model.nextTokenLogits(input, layout: layout, cache: cache, on: compute))
            if stopTokens.contains(token) {
                (self.ids, stopReason) = (ids, .endOfText)
                return
            }
            ids.append(token)
            guard receive(token) else {
                (self.ids, stopReason) = (ids, .cancelled)
                return
            }
            input = [token]
        }
        (self.ids, stopReason) = (ids, .length)
    }
}
