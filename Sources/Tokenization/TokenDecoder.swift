/// The `decoder` of tokenizer.json: how tokens become text again.
enum TokenDecoder: Sendable {
    /// Tokens are byte strings in the byte-level alphabet; text is what their bytes spell.
    case byteLevel
    /// Without a decoder, tokens stand side by side with spaces between them.
    case spaced

    init(_ value: JSONValue?, place: String) throws(TokenizationError) {
        guard let value, value != .null else {
            self = .spaced
            return
        }
        let fields = try JSONFields(value, place)
        let type = try fields.string("type")
        var parts = [type]
        if type == "Sequence" {
            parts = []
            for (at, part) in try fields.array("decoders").enumerated() {
                parts.append(try JSONFields(part, "\(place).decoders[\(at)]").string("type"))
            }
        }
        // After ByteLevel there is one string, which Fuse leaves as it is.
        guard parts.first == "ByteLevel", parts.dropFirst().allSatisfy({ $0 == "Fuse" }) else {
            throw .unsupported(
                place: place, found: "the decoder \(parts.joined(separator: " + "))", supported: "ByteLevel")
        }
        self = .byteLevel
    }

    /// What each token contributes to the text.
    ///
    /// - Parameter spellings: Tokens that are written otherwise than they stand in the vocabulary.
    func bytes(of vocabulary: Vocabulary, spellings: [TokenID: String]) -> TokenBytes {
        var bytes = TokenBytes()
        for id in 0..<vocabulary.size {
            bytes.append { storage in
                guard let piece = spellings[TokenID(id)] ?? vocabulary.piece(of: TokenID(id)) else { return }
                // A token with any character outside the alphabet stands for itself as a whole.
                if case .byteLevel = self, ByteLevelAlphabet.appendBytes(of: piece, to: &storage) { return }
                storage.append(contentsOf: piece.utf8)
            }
        }
        return bytes
    }
}

extension TokenizerCore {
    /// Appends what a token adds to decoded text; ids that are not in the vocabulary add nothing.
    func appendBytes(of id: TokenID, skipSpecialTokens: Bool, isFirst: inout Bool, to output: inout [UInt8]) {
        guard vocabulary.piece(of: id) != nil, !(skipSpecialTokens && specialIDs.contains(id)) else { return }
        if case .spaced = decoder, !isFirst { output.append(0x20) }
        isFirst = false
        output.append(contentsOf: bytes[id])
    }
}
