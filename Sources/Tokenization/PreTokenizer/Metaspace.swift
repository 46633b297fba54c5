/// SentencePiece's way with spaces: each becomes a visible character (`▁`), and one is put before the text.
struct Metaspace: Sendable, Hashable {
    enum PrependScheme: String, Sendable {
        /// Before every piece.
        case always
        /// Before the piece that starts the text, and before none behind an added token.
        case first
        case never
    }

    let replacement: Unicode.Scalar
    let scheme: PrependScheme
    /// Cuts before every replaced space.
    let splits: Bool
    private let content: [UInt8]

    init(_ fields: JSONFields) throws(TokenizationError) {
        replacement = try fields.character("replacement")
        content = Array(String(replacement).utf8)
        splits = try fields.bool("split", default: true)
        let name = fields.present("prepend_scheme") == nil ? "always" : try fields.string("prepend_scheme")
        guard let scheme = PrependScheme(rawValue: name) else {
            throw .malformed(
                place: "\(fields.place).prepend_scheme", found: "\"\(name)\"", expected: "always, first or never")
        }
        guard try fields.bool("add_prefix_space", default: true) || scheme == .never else {
            throw .malformed(
                place: "\(fields.place).add_prefix_space", found: "false",
                expected: "true (or the prepend_scheme never)")
        }
        self.scheme = scheme
    }

    /// The splitting that follows the rewriting.
    var splitter: Splitter? { splits ? Splitter(pattern: .literal(content), behavior: .mergedWithNext) : nil }

    /// Appends a piece in its new spelling.
    func append(_ piece: PieceRange, of text: PlacedText, to mapped: inout MappedText) {
        if needsPrefix(text, piece) {
            let original = text.origin.original(piece.start..<piece.start + 1).lowerBound
            mapped.append(content, from: original..<original)
        }
        var copied = piece.start
        for position in piece.start..<piece.end where text.bytes[position] == 0x20 {
            mapped.copy(copied..<position, of: text)
            mapped.append(content, from: text.origin.original(position..<position + 1))
            copied = position + 1
        }
        mapped.copy(copied..<piece.end, of: text)
    }

    private func needsPrefix(_ text: PlacedText, _ piece: PieceRange) -> Bool {
        let bytes = text.bytes[piece.start..<piece.end]
        switch scheme {
        case .never: return false
        case .first where text.origin.original(piece.start..<piece.start + 1).lowerBound != 0: return false
        default: return bytes.first != 0x20 && !bytes.starts(with: content)
        }
    }
}
