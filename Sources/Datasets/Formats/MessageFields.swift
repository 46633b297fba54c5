import Tokenization

/// One entry of an array of messages.
struct MessageFields {
    private let object: JSONObject
    /// The array's key, and the place in it, for problems.
    private let key: String
    private let position: Int

    init(_ record: JSONValue, key: String, position: Int) throws(DatasetProblemKind) {
        guard let object = record.objectValue else {
            throw .wrongType(key: "\(key)[\(position)]", expected: "an object", found: record.kindDescription)
        }
        self.object = object
        self.key = key
        self.position = position
    }

    /// The same entry with other members.
    func replacing(_ members: [(key: String, value: JSONValue)]) throws(DatasetProblemKind) -> MessageFields {
        try MessageFields(.object(JSONObject(members)), key: key, position: position)
    }

    subscript(name: String) -> JSONValue? { object[name].flatMap { $0.isNull ? nil : $0 } }

    /// The members that decide about training, which every format knows.
    var trainingMarks: [(key: String, value: JSONValue)] {
        object.members.filter { $0.key == "train" || $0.key == "weight" }
    }

    /// The message as the template will see it: everything that stands in the record, the content as one text.
    func message() throws(DatasetProblemKind) -> Message {
        try checkRole()
        try checkToolCalls()
        var members = object
        if let content = try content() { members["content"] = .string(content) }
        do {
            return try Message(members)
        } catch {
            throw .templateRefused(reason: error.description)
        }
    }

    private func checkRole() throws(DatasetProblemKind) {
        guard let role = object["role"]?.stringValue else { throw wrongType("role", "a string", object["role"]) }
        guard ChatFormat.roles.contains(role) else { throw .unknownRole(role, message: position + 1) }
    }

    private func checkToolCalls() throws(DatasetProblemKind) {
        guard let value = self["tool_calls"] else { return }
        guard let calls = value.arrayValue else { throw wrongType("tool_calls", "an array", value) }
        for (number, call) in calls.enumerated() {
            let place = "tool_calls[\(number)]"
            guard call.objectValue != nil else { throw wrongType(place, "an object", call) }
            let function = call["function"] ?? call
            guard function["name"]?.stringValue != nil else {
                throw .namelessTool(key: "\(key)[\(position)].\(place)")
            }
        }
    }

    /// The text; `nil` for a message that consists of tool calls.
    private func content() throws(DatasetProblemKind) -> String? {
        switch object["content"] {
        case .string(let text)?: return text
        case .array(let parts)?: return try text(of: parts)
        case nil where self["tool_calls"] != nil, .null? where self["tool_calls"] != nil: return nil
        case let value: throw wrongType("content", "a string", value)
        }
    }

    /// Content in parts, joined: many templates would print the list itself.
    private func text(of parts: [JSONValue]) throws(DatasetProblemKind) -> String {
        var joined = ""
        for part in parts {
            guard part["type"]?.stringValue == "text", let text = part["text"]?.stringValue else {
                throw .wrongType(
                    key: "\(key)[\(position)].content", expected: "a string or a list of text parts",
                    found: "a list with a part of the type \"\(part["type"]?.stringValue ?? "(none)")\"")
            }
            joined += text
        }
        return joined
    }

    /// How much the message counts in the loss where it is trained: 0 if it is only read.
    func weight() throws(DatasetProblemKind) -> Float {
        if let train = self["train"] {
            guard let flag = train.boolValue else { throw wrongType("train", "true or false", train) }
            if !flag { return 0 }
        }
        guard let weight = self["weight"] else { return 1 }
        guard let number = LossWeight(weight) else {
            throw .wrongType(
                key: "\(key)[\(position)].weight", expected: LossWeight.expected, found: LossWeight.found(weight))
        }
        return number.value
    }

    /// - Parameter value: What was found; `nil` if the member is missing.
    func wrongType(_ name: String, _ expected: String, _ value: JSONValue?) -> DatasetProblemKind {
        .wrongType(key: "\(key)[\(position)].\(name)", expected: expected, found: value?.kindDescription ?? "missing")
    }
}

/// A weight in a record.
struct LossWeight {
    static let expected = "0 or a number from 1e-6 to 10000"
    let value: Float

    /// `nil` for anything but a number in bounds. A step divides by the sum of its weights, which float32 must bear.
    init?(_ json: JSONValue) {
        guard let number = json.doubleValue, number == 0 || (1e-6...10_000).contains(number) else { return nil }
        value = Float(number)
    }

    /// What was found in its place: a number itself, of other values the kind.
    static func found(_ json: JSONValue) -> String {
        switch json {
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        default: json.kindDescription
        }
    }
}
