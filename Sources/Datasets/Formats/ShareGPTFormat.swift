import Tokenization

/// `{"conversations": [{"from": "human", "value": …}, {"from": "gpt", "value": …}, …]}`, with `system` and `tools`
/// beside it where there are any. Entries with `role` and `content` are taken too.
enum ShareGPTFormat {
    static let requiredKeys = ["conversations"]

    /// What the names of speakers in such data mean.
    private static let roles = [
        "human": "user", "user": "user", "prompter": "user", "instruction": "user",
        "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
        "ai": "assistant", "bard": "assistant", "bing": "assistant", "function_call": "assistant",
        "system": "system", "developer": "developer",
        "tool": "tool", "observation": "tool", "function": "tool", "function_response": "tool", "ipython": "tool",
    ]

    static func example(from fields: RecordFields) throws(DatasetProblemKind) -> Example {
        let entries = try fields.array("conversations")
        if entries.isEmpty { throw .emptyConversation(key: "conversations") }
        var conversation = Conversation(messages: [])
        for (position, entry) in entries.enumerated() {
            let turn = try MessageFields(entry, key: "conversations", position: position)
            let message = try turn.replacing(try members(of: turn, position) + turn.trainingMarks)
            conversation.setWeight(try message.weight(), ofMessage: conversation.messages.count)
            conversation.messages.append(try message.message())
        }
        try conversation.begin(with: fields)
        conversation.tools = try ChatFormat.tools(of: fields)
        return .conversation(conversation)
    }

    private static func members(
        of turn: MessageFields, _ position: Int
    ) throws(DatasetProblemKind) -> [(key: String, value: JSONValue)] {
        let speaker = turn["from"] ?? turn["role"]
        guard let name = speaker?.stringValue else { throw turn.wrongType("from", "a string", speaker) }
        guard let role = roles[name.lowercased()] else { throw .unknownRole(name, message: position + 1) }
        let said = turn["value"] ?? turn["content"]
        if said == nil, turn["tool_calls"] == nil { throw turn.wrongType("value", "a string", nil) }
        let value = said ?? .null
        if name.lowercased() == "function_call" {
            return [("role", .string(role)), ("content", .string("")), ("tool_calls", try toolCalls(value, turn))]
        }
        var members: [(key: String, value: JSONValue)] = [("role", .string(role)), ("content", value)]
        for key in ["tool_calls", "reasoning_content", "thinking", "name"] {
            if let more = turn[key] { members.append((key, more)) }
        }
        return members
    }

    /// A call written as JSON text: `{"name": …, "arguments": …}`, or an array of such.
    private static func toolCalls(_ value: JSONValue, _ turn: MessageFields) throws(DatasetProblemKind) -> JSONValue {
        let parsed = value.stringValue.flatMap { try? JSONValue(parsing: Array($0.utf8)) } ?? value
        let calls = parsed.arrayValue ?? [parsed]
        guard calls.allSatisfy({ $0.objectValue != nil }) else {
            throw turn.wrongType("value", "a tool call as JSON", value)
        }
        return .array(calls.map { ["type": "function", "function": $0] })
    }
}
