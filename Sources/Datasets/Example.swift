public import Tokenization

/// One record of a data set, whatever its format was.
public enum Example: Sendable, Equatable {
    /// Messages to be rendered through a chat template.
    case conversation(Conversation)
    /// A prompt that is read and a response that is learnt.
    case completion(prompt: String, response: String)
    /// Pieces of one text, each learnt or only read.
    case segments([Segment])
    /// Two answers to one prompt, of which one is better.
    case preference(Preference)
    /// Text that is learnt as a whole.
    case text(String)
    /// Token ids, and labels aligned with them (−100 = not trained); `nil` trains everything.
    case tokens(inputIDs: [Int32], labels: [Int32]?)
}

/// The messages of one conversation and which of them may be trained.
public struct Conversation: Sendable, Equatable {
    /// In order.
    public var messages: [Message]
    /// Indices of messages that carry `"train": false`: they are read, never trained.
    public var untrained: Set<Int>
    /// How much the trained tokens of messages count that carry a `"weight"` other than 0 or 1.
    public var weights: [Int: Float]
    /// An array of the tools that the template shows to the model; `nil` if the record has none.
    public var tools: JSONValue?

    /// A conversation; all assistant messages may be trained unless told otherwise.
    public init(
        messages: [Message], untrained: Set<Int> = [], weights: [Int: Float] = [:], tools: JSONValue? = nil
    ) {
        self.messages = messages
        self.untrained = untrained
        self.weights = weights
        self.tools = tools
    }
}

/// A piece of a text.
public struct Segment: Sendable, Equatable {
    /// The text, as it stands before the next piece.
    public var text: String
    /// How much its tokens count in the loss: 0 is only read, 1 is learnt as usual.
    public var weight: Float

    /// Whether it is learnt.
    public var isTrained: Bool { weight > 0 }

    /// A piece of a text.
    public init(_ text: String, isTrained: Bool) { self.init(text, weight: isTrained ? 1 : 0) }

    /// A piece of a text that counts more or less than others.
    public init(_ text: String, weight: Float) {
        self.text = text
        self.weight = weight
    }
}

/// A better and a worse answer to the same prompt.
public struct Preference: Sendable, Equatable {
    /// A prompt or an answer: plain text, or messages for the chat template.
    public enum Content: Sendable, Equatable {
        /// Text that is used as it is.
        case text(String)
        /// Messages for the chat template.
        case messages([Message])
    }

    /// What both answers answer; empty messages where the answers are whole conversations.
    public var prompt: Content
    /// The better answer.
    public var chosen: Content
    /// The worse answer.
    public var rejected: Content

    /// A pair of answers.
    public init(prompt: Content, chosen: Content, rejected: Content) {
        self.prompt = prompt
        self.chosen = chosen
        self.rejected = rejected
    }
}

/// An example and where it stands.
public struct DatasetRecord: Sendable, Equatable {
    /// The content.
    public var example: Example
    /// The file, as it was named by the user.
    public var file: String
    /// The line where the record starts, from 1.
    public var line: Int
    /// Keys of the record, not empty, that its format does not use.
    public var unusedKeys: [String] = []
    /// Keys of the format that should be read from another key, which the record does not have.
    public var missingFields: [String] = []

    /// A record at a place.
    public init(_ example: Example, file: String, line: Int) {
        self.example = example
        self.file = file
        self.line = line
    }
}
