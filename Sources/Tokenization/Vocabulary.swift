/// Tokens by id and ids by token. Tokens are told apart by their bytes.
struct Vocabulary: Sendable {
    /// The token of each id; `nil` where an id is not used.
    private(set) var pieces: [String?]
    /// The number of tokens.
    private(set) var count = 0
    /// Ids whose token has a later id too, by which it is looked up.
    private(set) var shadowed: [TokenID] = []
    private var index: HashIndex
    private let idLimit: Int

    /// An empty vocabulary for about `expectedCount` tokens. Ids far beyond that number are refused, since a damaged
    /// id must not make us allocate gigabytes.
    init(expectedCount: Int) {
        idLimit = 4 * expectedCount + 65_536
        pieces = []
        pieces.reserveCapacity(expectedCount)
        index = HashIndex(capacity: expectedCount)
    }

    /// The highest id plus one.
    var size: Int { pieces.count }

    /// Adds a token.
    ///
    /// - Parameter replacing: Allows that the token has an id already; then the new one is what it is looked up by.
    mutating func insert(_ piece: String, id: Int, replacing: Bool = false) throws(TokenizationError) {
        guard (0..<idLimit).contains(id) else {
            throw .idOutOfRange(token: piece, id: id, limit: idLimit - 1)
        }
        if id < pieces.count, let other = pieces[id] { throw .duplicateID(id: id, first: other, second: piece) }
        let hash = ByteHash.hash(piece)
        let other = position(of: piece, hash)
        if other != nil, !replacing { throw .duplicateToken(piece) }
        while pieces.count <= id { pieces.append(nil) }
        pieces[id] = piece
        if let other {
            index.replace(hash, other, with: id)
            shadowed.append(TokenID(other))
        } else {
            index.insert(hash, id)
        }
        count += 1
    }

    private func position(of piece: String, _ hash: UInt64) -> Int? {
        index.position(hash) { pieces[$0]?.hasSameBytes(as: piece) ?? false }
    }

    func id(of piece: String) -> TokenID? { position(of: piece, ByteHash.hash(piece)).map { TokenID($0) } }

    func piece(of id: TokenID) -> String? {
        guard id >= 0, Int(id) < pieces.count else { return nil }
        return pieces[Int(id)]
    }
}
