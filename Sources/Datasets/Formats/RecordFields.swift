import Tokenization

/// A record's members with checked access: what is missing or of the wrong type is thrown with its name.
struct RecordFields {
    let object: JSONObject
    let format: DatasetFormat

    /// A member that must be there and not null.
    func required(_ key: String) throws(DatasetProblemKind) -> JSONValue {
        guard let value = optional(key) else {
            throw .missingKey(key, format: format, keys: object.members.map(\.key))
        }
        return value
    }

    /// A member; `nil` if it is absent or null.
    func optional(_ key: String) -> JSONValue? {
        guard let value = object[key], !value.isNull else { return nil }
        return value
    }

    /// Whether something stands under a key, not only for form's sake.
    func hold(_ key: String) -> Bool { object[key]?.holdsNothing == false }

    func string(_ key: String) throws(DatasetProblemKind) -> String {
        let value = try required(key)
        guard let text = value.stringValue else {
            throw .wrongType(key: key, expected: "a string", found: value.kindDescription)
        }
        return text
    }

    /// A text that may be left out; `nil` if it is absent, null or empty.
    func text(_ key: String) throws(DatasetProblemKind) -> String? {
        guard optional(key) != nil else { return nil }
        let text = try string(key)
        return text.isEmpty ? nil : text
    }

    /// An array, or the text of one: tables, and some that write JSON twice, hold it so.
    func array(_ key: String) throws(DatasetProblemKind) -> [JSONValue] {
        var value = try required(key)
        if let text = value.stringValue, let parsed = try? JSONValue(parsing: Array(text.utf8)),
            parsed.arrayValue != nil
        {
            value = parsed
        }
        guard let elements = value.arrayValue else {
            throw .wrongType(key: key, expected: "an array", found: value.kindDescription)
        }
        return elements
    }
}

extension JSONValue {
    /// Whether it is there for form's sake only: null, or an empty text, array or object.
    var holdsNothing: Bool {
        switch self {
        case .null, .string(""): true
        case .array(let elements): elements.isEmpty
        case .object(let object): object.members.isEmpty
        default: false
        }
    }
}
