public import Tokenization

/// One record of a data set, whatever its format was.
public enum Example: Sendable, Equatable {
    /// Messages to be rendered through a chat template.
    case conversation(Conversation)
    /// A prompt that is read and a response that is learnt.
    case completion(prompt: String, response: String)
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
    /// An array of the tools that the template shows to the model; `nil` if the record has none.
    public var tools: JSONValue?

    /// A conversation; all assistant messages may be trained unless told otherwise.
    public init(messages: [Message], untrained: Set<Int> = [], tools: JSONValue? = nil) {
        self.messages = messages
        self.untrained = untrained
        self.tools = tools
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

    /// A record at a place.
    public init(_ example: Example, file: String, line: Int) {
        self.example = example
        self.file = file
        self.line = line
    }
}
