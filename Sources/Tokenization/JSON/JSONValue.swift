/// A JSON value that keeps the order of an object's keys, as chat templates need it (`tojson` writes keys in order).
///
/// Integers and floating-point numbers stay apart: `1` is `.integer`, `1.0` is `.number`.
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

/// The members of a JSON object in the order of the text. Keys are unique: the parser refuses duplicates.
public struct JSONObject: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// Keys and values in order.
    public private(set) var members: [(key: String, value: JSONValue)]
    private var index: [String: Int]

    /// Makes an object from members in order; a later duplicate replaces an earlier one.
    public init(_ members: [(key: String, value: JSONValue)] = []) {
        self.members = []
        index = [:]
        index.reserveCapacity(members.count)
        for (key, value) in members { self[key] = value }
    }

    /// Makes an object from a literal.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(elements.map { (key: $0.0, value: $0.1) })
    }

    /// The value of a key; setting a new key appends it, setting `nil` changes nothing.
    public subscript(key: String) -> JSONValue? {
        get { index[key].map { members[$0].value } }
        set {
            guard let newValue else { return }
            if let at = index[key] {
                members[at].value = newValue
            } else {
                index[key] = members.count
                members.append((key, newValue))
            }
        }
    }

    /// Two objects are equal when they hold the same keys and values, in any order.
    public static func == (a: JSONObject, b: JSONObject) -> Bool {
        a.members.count == b.members.count && a.members.allSatisfy { b[$0.key] == $0.value }
    }

    /// Hashes the number of members only, since order does not count.
    public func hash(into hasher: inout Hasher) { hasher.combine(members.count) }
}
