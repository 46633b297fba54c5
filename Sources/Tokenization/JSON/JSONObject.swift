/// The members of a JSON object in the order of the text. Keys are unique: the parser refuses duplicates.
///
/// Keys are told apart by their bytes, so that a precomposed and a decomposed `é` are two keys, as in every other
/// JSON library (Swift's own string comparison would take them for one).
public struct JSONObject: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// Keys and values in order.
    public private(set) var members: [(key: String, value: JSONValue)]
    /// Positions by key; empty while the object is small enough to be searched member by member.
    private var index: [ExactString: Int]
    private static let searchLimit = 8

    /// Makes an object from members in order; a later duplicate replaces an earlier one.
    public init(_ members: [(key: String, value: JSONValue)] = []) {
        self.members = []
        index = [:]
        if members.count > Self.searchLimit { index.reserveCapacity(members.count) }
        for (key, value) in members { self[key] = value }
    }

    /// Makes an object from a literal.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(elements.map { (key: $0.0, value: $0.1) })
    }

    /// The value of a key; setting a new key appends it, setting `nil` changes nothing.
    public subscript(key: String) -> JSONValue? {
        get { position(of: key).map { members[$0].value } }
        set {
            guard let newValue else { return }
            if let at = position(of: key) {
                members[at].value = newValue
            } else {
                appendNew(key, newValue)
            }
        }
    }

    /// Adds a member unless its key is there already; says whether it was added.
    mutating func append(_ key: String, _ value: JSONValue) -> Bool {
        if members.count < Self.searchLimit {
            if position(of: key) != nil { return false }
            members.append((key, value))
            return true
        }
        if index.isEmpty { buildIndex() }
        let next = members.count
        guard index.updateValueIfAbsent(next, for: ExactString(key)) else { return false }
        members.append((key, value))
        return true
    }

    private func position(of key: String) -> Int? {
        if !index.isEmpty { return index[ExactString(key)] }
        return members.firstIndex { ExactString($0.key) == ExactString(key) }
    }

    private mutating func appendNew(_ key: String, _ value: JSONValue) {
        if members.count == Self.searchLimit { buildIndex() }
        if members.count >= Self.searchLimit { index[ExactString(key)] = members.count }
        members.append((key, value))
    }

    private mutating func buildIndex() {
        for (at, member) in members.enumerated() { index[ExactString(member.key)] = at }
    }

    /// Two objects are equal when they hold the same keys and values, in any order.
    public static func == (a: JSONObject, b: JSONObject) -> Bool {
        a.members.count == b.members.count && a.members.allSatisfy { b[$0.key] == $0.value }
    }

    /// Hashes the number of members only, since order does not count.
    public func hash(into hasher: inout Hasher) { hasher.combine(members.count) }
}

extension Dictionary {
    /// Stores a value for a key that has none; `false` if the key had one, which then stays. Hashes the key once.
    fileprivate mutating func updateValueIfAbsent(_ value: Value, for key: Key) -> Bool {
        let before = count
        _ = { (_: inout Value) in }(&self[key, default: value])
        return count > before
    }
}

/// A string compared and hashed by its UTF-8 bytes instead of by canonical equivalence.
///
/// Vocabularies need it: the Kelvin sign and the letter K are two tokens, but one and the same Swift `String`.
struct ExactString: Hashable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (a: ExactString, b: ExactString) -> Bool {
        let (x, y) = (a.text.utf8, b.text.utf8)
        guard x.count == y.count else { return false }
        return x.elementsEqual(y)
    }

    func hash(into hasher: inout Hasher) {
        let hashed: Void? = text.utf8.withContiguousStorageIfAvailable {
            hasher.combine(bytes: UnsafeRawBufferPointer($0))
        }
        if hashed == nil {
            for byte in text.utf8 { hasher.combine(byte) }
        }
    }
}
