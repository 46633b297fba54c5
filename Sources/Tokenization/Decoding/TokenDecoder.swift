/// The `decoder` of tokenizer.json: how tokens become text again, step by step.
struct TokenDecoder: Sendable {
    enum Step: Sendable {
        /// Tokens are byte strings in the byte-level alphabet; text is what their bytes spell.
        case byteLevel
        /// Tokens such as `<0x0A>` stand for single bytes.
        case byteFallback
        /// Makes one token of all.
        case fuse
        /// Takes so many of a character from the start and the end of every token.
        case strip(Unicode.Scalar, start: Int, stop: Int)
        case replace(SplitPattern, with: [UInt8])
        /// Turns the replacement into spaces; in the first token it vanishes if it was put there.
        case metaspace(Unicode.Scalar, prepends: Bool)
        /// Puts spaces between tokens, except before those with the prefix, and may tidy up English punctuation.
        case wordPiece(prefix: [UInt8], cleans: Bool)
        /// The suffix ends a word; behind it stands a space, unless the text ends.
        case wordEnd([UInt8])
        /// Without a decoder, tokens stand side by side with spaces between them.
        case spaced
    }

    private(set) var steps: [Step] = []

    init(_ value: JSONValue?, place: String) throws(TokenizationError) {
        guard let value, value != .null else {
            steps = [.spaced]
            return
        }
        try add(JSONFields(value, place))
    }

    private mutating func add(_ fields: JSONFields) throws(TokenizationError) {
        let type = try fields.string("type")
        switch type {
        case "Sequence":
            for (at, part) in try fields.array("decoders").enumerated() {
                try add(JSONFields(part, "\(fields.place).decoders[\(at)]"))
            }
        case "ByteLevel": steps.append(.byteLevel)
        case "ByteFallback": steps.append(.byteFallback)
        case "Fuse": steps.append(.fuse)
        case "Metaspace":
            let metaspace = try Metaspace(fields)
            steps.append(.metaspace(metaspace.replacement, prepends: metaspace.scheme != .never))
        case "Replace":
            steps.append(.replace(try SplitPattern(fields), with: Array(try fields.string("content").utf8)))
        case "Strip":
            steps.append(
                .strip(
                    try fields.character("content"), start: try Self.count("start", fields),
                    stop: try Self.count("stop", fields)))
        case "WordPiece":
            steps.append(
                .wordPiece(prefix: Array(try fields.string("prefix").utf8), cleans: try fields.bool("cleanup")))
        case "BPEDecoder": steps.append(.wordEnd(Array(try fields.string("suffix").utf8)))
        default:
            throw .unsupported(
                place: fields.place, found: "the decoder \(type)",
                supported: "Sequence, ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace, WordPiece and BPEDecoder")
        }
    }

    private static func count(_ key: String, _ fields: JSONFields) throws(TokenizationError) -> Int {
        let count = try fields.integer(key)
        guard 0...1_000_000 ~= count else {
            throw .malformed(place: "\(fields.place).\(key)", found: "\(count)", expected: "a small number")
        }
        return count
    }
}
