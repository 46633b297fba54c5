import Tokenization

/// `{"messages": [{"role": …, "content": …}, …]}`, with `tools` beside it where there are any. A message with
/// `"train": false` (or `"weight": 0`) is read and never trained.
enum ChatFormat {
    static let requiredKeys = ["messages"]
    /// The roles that a message may have.
    static let roles = ["system", "developer", "user", "assistant", "tool"]

    static func example(from fields: RecordFields) throws(DatasetProblemKind) -> Example {
        let records = try fields.array("messages")
        if records.isEmpty { throw .emptyConversation }
        var conversation = Conversation(messages: [])
        for (position, record) in records.enumerated() {
            guard let object = record.objectValue else {
                throw .wrongType(
                    key: "messages[\(position)]", expected: "an object", found: record.kindDescription)
            }
            let fields = MessageFields(object: object, position: position)
            conversation.messages.append(try fields.message())
            if try !fields.isTrained() { conversation.untrained.insert(position) }
        }
        if fields.optional("tools") != nil { conversation.tools = .array(try fields.array("tools")) }
        return .conversation(conversation)
    }
}

/// One entry of `messages`.
private struct MessageFields {
    let object: JSONObject
    let position: Int

    /// The message as the template will see it: everything that stands in the record, the content as one text.
    func message() throws(DatasetProblemKind) -> Message {
        try checkRole()
        var members = object
        if let content = try content() { members["content"] = .string(content) }
        do {
            return try Message(members)
        } catch {
            throw .templateRefused(reason: error.description)
        }
    }

    private func checkRole() throws(DatasetProblemKind) {
        let value = object["role"] ?? .null
        guard let role = value.stringValue else { throw wrongType("role", "a string", value) }
        guard ChatFormat.roles.contains(role) else { throw .unknownRole(role, message: position + 1) }
    }

    /// The text; `nil` for a message that consists of tool calls.
    private func content() throws(DatasetProblemKind) -> String? {
        let value = object["content"] ?? .null
        switch value {
        case .string(let text): return text
        case .array(let parts): return try text(of: parts)
        case .null where !(object["tool_calls"] ?? .null).isNull: return nil
        default: throw wrongType("content", "a string", value)
        }
    }

    /// Content in parts, joined: many templates would print the list itself.
    private func text(of parts: [JSONValue]) throws(DatasetProblemKind) -> String {
        var joined = ""
        for part in parts {
            guard part["type"]?.stringValue == "text", let text = part["text"]?.stringValue else {
                throw .wrongType(
                    key: "messages[\(position)].content", expected: "a string or a list of text parts",
                    found: "a list with a part of the type \"\(part["type"]?.stringValue ?? "(none)")\"")
            }
            joined += text
        }
        return joined
    }

    func isTrained() throws(DatasetProblemKind) -> Bool {
        if let train = object["train"], !train.isNull {
            guard let flag = train.boolValue else { throw wrongType("train", "true or false", train) }
            return flag
        }
        if let weight = object["weight"], !weight.isNull {
            guard let number = weight.intValue, number == 0 || number == 1 else {
                throw wrongType("weight", "0 or 1", weight)
            }
            return number == 1
        }
        return true
    }

    private func wrongType(_ key: String, _ expected: String, _ value: JSONValue) -> DatasetProblemKind {
        .wrongType(key: "messages[\(position)].\(key)", expected: expected, found: value.kindDescription)
    }
}
