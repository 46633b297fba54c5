/// The members of a JSON object in the order of the text. Keys are unique: the parser refuses duplicates.
///
/// Keys are told apart by their bytes, so that a precomposed and a decomposed `é` are two keys, as in every other
/// JSON library (Swift's own string comparison would take them for one).
public struct JSONObject: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// Keys and values in order.
    public private(set) var members: [(key: String, value: JSONValue)]
    /// Finds members by key; empty while the object is small enough to be searched member by member.
    private var index = HashIndex()
    private static let searchLimit = 8

    /// Makes an object from members in order; a later duplicate replaces an earlier one.
    public init(_ members: [(key: String, value: JSONValue)] = []) {
        self.members = []
        self.members.reserveCapacity(members.count)
        for (key, value) in members { self[key] = value }
    }

    /// Makes an object from a literal.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(elements.map { (key: $0.0, value: $0.1) })
    }

    /// The value of a key; setting a new key appends it, setting `nil` changes nothing.
    public subscript(key: String) -> JSONValue? {
        get { position(of: key, hash: hash(key)).map { members[$0].value } }
        set {
            guard let newValue else { return }
            if let at = position(of: key, hash: hash(key)) {
                members[at].value = newValue
            } else {
                _ = append(key, newValue)
            }
        }
    }

    /// The same object without a key.
    package func without(_ key: String) -> JSONObject {
        JSONObject(members.filter { $0.key != key }.map { (key: $0.key, value: $0.value) })
    }

    /// Adds a member unless its key is there already; says whether it was added.
    mutating func append(_ key: String, _ value: JSONValue) -> Bool {
        let hash = hash(key)
        if position(of: key, hash: hash) != nil { return false }
        members.append((key, value))
        if members.count > Self.searchLimit {
            if index.count == 0 { buildIndex() } else { index.insert(hash, members.count - 1) }
        }
        return true
    }

    /// The hash of a key, or nothing where it is not needed.
    @inline(__always)
    private func hash(_ key: String) -> UInt64 { members.count < Self.searchLimit ? 0 : ByteHash.hash(key) }

    @inline(__always)
    private func position(of key: String, hash: UInt64) -> Int? {
        if index.count > 0 { return index.position(hash) { members[$0].key.hasSameBytes(as: key) } }
        return members.firstIndex { $0.key.hasSameBytes(as: key) }
    }

    private mutating func buildIndex() {
        for (at, member) in members.enumerated() { index.insert(ByteHash.hash(member.key), at) }
    }

    /// Two objects are equal when they hold the same keys and values, in any order.
    public static func == (a: JSONObject, b: JSONObject) -> Bool {
        a.members.count == b.members.count && a.members.allSatisfy { b[$0.key] == $0.value }
    }

    /// Hashes the number of members only, since order does not count.
    public func hash(into hasher: inout Hasher) { hasher.combine(members.count) }
}
