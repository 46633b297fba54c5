/// Reads members of a JSON object and names the place when they are not what they should be.
struct JSONFields {
    let object: JSONObject
    let place: String

    init(_ value: JSONValue?, _ place: String) throws(TokenizationError) {
        guard case .object(let object)? = value else {
            throw Self.malformed(place, value, "an object")
        }
        self.object = object
        self.place = place
    }

    static func malformed(_ place: String, _ found: JSONValue?, _ expected: String) -> TokenizationError {
        .malformed(place: place, found: found?.kindDescription ?? "nothing", expected: expected)
    }

    /// `tokenizer.json: model.vocab`: the file, then the way to the member.
    private func path(_ key: String) -> String { place + (place.contains(": ") ? "." : ": ") + key }

    /// The member, or `nil` where it is absent or null.
    func present(_ key: String) -> JSONValue? {
        guard let value = object[key], value != .null else { return nil }
        return value
    }

    func string(_ key: String) throws(TokenizationError) -> String {
        guard let text = object[key]?.stringValue else { throw Self.malformed(path(key), object[key], "a string") }
        return text
    }

    func bool(_ key: String) throws(TokenizationError) -> Bool {
        guard let flag = object[key]?.boolValue else { throw Self.malformed(path(key), object[key], "true or false") }
        return flag
    }

    /// A string of exactly one character.
    func character(_ key: String) throws(TokenizationError) -> Unicode.Scalar {
        let scalars = object[key]?.stringValue?.unicodeScalars
        guard let scalar = scalars?.first, scalars?.count == 1 else {
            throw Self.malformed(path(key), object[key], "a string of one character")
        }
        return scalar
    }

    func bool(_ key: String, default fallback: Bool) throws(TokenizationError) -> Bool {
        guard let value = present(key) else { return fallback }
        guard let flag = value.boolValue else { throw Self.malformed(path(key), value, "true or false") }
        return flag
    }

    func integer(_ key: String) throws(TokenizationError) -> Int {
        guard case .integer(let value)? = object[key] else {
            throw Self.malformed(path(key), object[key], "an integer")
        }
        return value
    }

    func array(_ key: String) throws(TokenizationError) -> [JSONValue] {
        guard let elements = object[key]?.arrayValue else { throw Self.malformed(path(key), object[key], "an array") }
        return elements
    }

    func fields(_ key: String) throws(TokenizationError) -> JSONFields { try JSONFields(object[key], path(key)) }
}
