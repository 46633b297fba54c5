import Tokenization

/// `{"messages": [{"role": …, "content": …}, …]}`, with `system` and `tools` beside it where there are any. A message
/// with `"train": false` (or `"weight": 0`) is read and never trained; other weights say how much it counts.
enum ChatFormat {
    static let requiredKeys = ["messages"]
    /// The roles that a message may have.
    static let roles = ["system", "developer", "user", "assistant", "tool"]

    static func example(from fields: RecordFields) throws(DatasetProblemKind) -> Example {
        var conversation = try conversation(fields.array("messages"), key: "messages")
        try conversation.begin(with: fields)
        conversation.tools = try tools(of: fields)
        return .conversation(conversation)
    }

    /// The messages of an array, with the marks of those that are not trained.
    static func conversation(_ records: [JSONValue], key: String) throws(DatasetProblemKind) -> Conversation {
        if records.isEmpty { throw .emptyConversation(key: key) }
        var conversation = Conversation(messages: [])
        for (position, record) in records.enumerated() {
            let fields = try MessageFields(record, key: key, position: position)
            conversation.messages.append(try fields.message())
            conversation.setWeight(try fields.weight(), ofMessage: position)
        }
        return conversation
    }

    /// The tools beside the messages, every one an object; none at all where the array is empty.
    static func tools(of fields: RecordFields) throws(DatasetProblemKind) -> JSONValue? {
        guard let given = fields.optional("tools"), given.stringValue != "" else { return nil }
        let tools = try fields.array("tools")
        for (position, tool) in tools.enumerated() {
            guard tool.objectValue != nil else {
                throw .wrongType(key: "tools[\(position)]", expected: "an object", found: tool.kindDescription)
            }
            let name = tool["function"]?["name"] ?? tool["name"]
            guard name?.stringValue != nil else { throw .namelessTool(key: "tools[\(position)]") }
        }
        return tools.isEmpty ? nil : .array(tools)
    }
}

extension Conversation {
    /// Puts what stands under `system` beside the messages before them.
    /// - Throws: If they begin with something else of that kind.
    mutating func begin(with fields: RecordFields) throws(DatasetProblemKind) {
        guard let system = try fields.text("system") else { return }
        if let first = messages.first, ["system", "developer"].contains(first.role) {
            guard first.content == system else { throw .twoSystemTexts }
            return
        }
        messages.insert(Message(role: "system", content: system), at: 0)
        untrained = Set(untrained.map { $0 + 1 })
        weights = Dictionary(uniqueKeysWithValues: weights.map { ($0.key + 1, $0.value) })
    }

    /// Notes how much a message counts.
    mutating func setWeight(_ weight: Float, ofMessage message: Int) {
        if weight == 0 { untrained.insert(message) } else if weight != 1 { weights[message] = weight }
    }
}
