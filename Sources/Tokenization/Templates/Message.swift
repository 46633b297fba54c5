/// One message of a conversation: an object with a role, mostly a content, and whatever else a template reads
/// (`tool_calls`, `reasoning_content`, …).
public struct Message: Sendable, Hashable {
    private let object: JSONObject
    /// Who speaks: `system`, `user`, `assistant`, `tool` or what else the template knows.
    public let role: String

    /// Makes a plain message.
    public init(role: String, content: String) {
        self.role = role
        object = ["role": .string(role), "content": .string(content)]
    }

    /// Makes a message of an object; every member is handed to the template.
    /// - Throws: `TemplateError.invalidMessage` if there is no `role` or it is no string.
    public init(_ object: JSONObject) throws(TemplateError) {
        guard let value = object["role"] else {
            let keys = object.members.map(\.key).joined(separator: ", ")
            throw .invalidMessage(reason: "it has no \"role\" (its keys: \(keys.isEmpty ? "none" : keys))")
        }
        guard case .string(let role) = value else {
            throw .invalidMessage(reason: "its \"role\" is \(value.kindDescription) where a string is expected")
        }
        self.object = object
        self.role = role
    }

    /// The content if it is a string; `nil` if it is absent, null or a list of parts.
    public var content: String? { object["content"]?.stringValue }

    /// The whole message.
    public var json: JSONValue { .object(object) }

    /// The message as templates see it: reasoning is offered under both names that templates read, as in
    /// transformers, whichever of the three usual names the data set uses.
    var templateObject: JSONObject {
        let names = ["reasoning_content", "thinking", "reasoning"]
        guard let reasoning = names.lazy.compactMap({ object[$0] }).first(where: { !$0.isNull }) else { return object }
        var result: JSONObject = ["thinking": reasoning]
        for (key, value) in object.members { result[key] = value }
        result["reasoning_content"] = reasoning
        return result
    }
}
