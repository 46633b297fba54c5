public import Tokenization

/// What happens to a record that is longer than `max_length`.
public enum Truncation: String, Sendable, Codable, CaseIterable {
    /// Cut behind the last trained turn that fits into `max_length`, counted; where not even the first one fits, it is
    /// cut at `max_length` and counted as one that lost its end.
    case truncate
    /// Left out and counted.
    case drop
    /// The run stops and names the record.
    case error
}

/// What happens to a broken record.
public enum ErrorPolicy: String, Sendable, Codable, CaseIterable {
    /// The run stops and names it.
    case stop
    /// Left out, counted and listed.
    case skip
}

/// How examples become tokens and labels.
public struct EncodingOptions: Sendable, Equatable {
    /// Which tokens are trained; records of token ids bring their own labels instead.
    public var trainOn: TrainOn
    /// The longest record in tokens; `nil` sets no limit.
    public var maxLength: Int?
    /// What happens to longer ones.
    public var truncation: Truncation
    /// Further variables for the chat template; the tokenizer's `bos_token`, `eos_token`, `pad_token` and `unk_token`
    /// are given to it unless they stand here.
    public var templateVariables: JSONObject
    /// The time that templates which write the date are told. Fixed, it keeps the data the same from day to day.
    public var now: TemplateClock

    /// Options as a recipe gives them.
    public init(
        trainOn: TrainOn = .assistant, maxLength: Int? = nil, truncation: Truncation = .error,
        templateVariables: JSONObject = [:], now: TemplateClock = .current
    ) {
        self.trainOn = trainOn
        self.maxLength = maxLength
        self.truncation = truncation
        self.templateVariables = templateVariables
        self.now = now
    }
}
