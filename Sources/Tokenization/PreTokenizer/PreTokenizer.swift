/// The `pre_tokenizer` of tokenizer.json: the steps that cut text into pieces no token reaches across.
struct PreTokenizer: Sendable {
    enum Step: Sendable {
        case split(Splitter)
        /// Puts a space before every piece that does not start with one.
        case prefixSpace
        case metaspace(Metaspace)
        /// Writes the pieces in the byte-level alphabet.
        case byteLevel
    }

    private(set) var steps: [Step] = []

    init(_ value: JSONValue?, place: String) throws(TokenizationError) {
        guard let value, value != .null else { return }
        try add(JSONFields(value, place))
    }

    /// Whether the last step writes the pieces in the byte-level alphabet.
    var endsInByteLevel: Bool { if case .byteLevel? = steps.last { true } else { false } }

    /// The same without its last step.
    func withoutLastStep() -> PreTokenizer {
        var copy = self
        copy.steps.removeLast()
        return copy
    }

    /// Whether a step asks where its pieces come from.
    var asksForOrigin: Bool {
        steps.contains { if case .metaspace(let metaspace) = $0 { metaspace.scheme == .first } else { false } }
    }

    private mutating func add(_ fields: JSONFields) throws(TokenizationError) {
        let type = try fields.string("type")
        switch type {
        case "Sequence":
            for (at, step) in try fields.array("pretokenizers").enumerated() {
                try add(JSONFields(step, "\(fields.place).pretokenizers[\(at)]"))
            }
        case "Metaspace":
            let metaspace = try Metaspace(fields)
            steps.append(.metaspace(metaspace))
            if let splitter = metaspace.splitter { steps.append(.split(splitter)) }
        case "ByteLevel":
            if try fields.bool("add_prefix_space", default: true) { steps.append(.prefixSpace) }
            if try fields.bool("use_regex", default: true) { add(.scanner(.gpt2), .isolated) }
            steps.append(.byteLevel)
        default: try addSplit(type, fields)
        }
    }

    private mutating func addSplit(_ type: String, _ fields: JSONFields) throws(TokenizationError) {
        switch type {
        case "Split":
            add(
                try SplitPattern(fields), try SplitBehavior(fields),
                isInverted: try fields.bool("invert", default: false))
        case "Digits":
            let single = try fields.bool("individual_digits", default: false)
            add(.characters(.digit), single ? .isolated : .contiguous)
        case "Punctuation": add(.characters(.punctuation), try SplitBehavior(fields, default: .isolated))
        case "Whitespace": add(.scanner(.words), .removed, isInverted: true)
        case "WhitespaceSplit": add(.characters(.space), .removed)
        case "BertPreTokenizer":
            add(.characters(.space), .removed)
            add(.characters(.punctuation), .isolated)
        case "CharDelimiterSplit":
            add(.literal(Array(String(try fields.character("delimiter")).utf8)), .removed)
        default:
            throw .unsupported(
                place: fields.place, found: "the pre-tokeniser \(type)",
                supported: "Sequence, Split, ByteLevel, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit, "
                    + "BertPreTokenizer and CharDelimiterSplit")
        }
    }

    private mutating func add(_ pattern: SplitPattern, _ behavior: SplitBehavior, isInverted: Bool = false) {
        steps.append(.split(Splitter(pattern: pattern, behavior: behavior, isInverted: isInverted)))
    }

    /// Hands over the pieces of `range`, in `scratch.pieces`, together with the text they lie in; that is `text` itself
    /// unless a step has changed it.
    func split(
        _ text: PlacedText, _ range: PieceRange, keepsOrigin: Bool, scratch: inout EncodingScratch,
        body: (PlacedText, inout EncodingScratch) -> Void
    ) {
        scratch.pieces.removeAll(keepingCapacity: true)
        scratch.pieces.append(range)
        var rewritten: MappedText?
        for step in steps {
            let next =
                rewritten.map { $0.withText { Self.apply(step, to: $0, keepsOrigin, &scratch) } }
                ?? Self.apply(step, to: text, keepsOrigin, &scratch)
            if let next { rewritten = next }
        }
        if let rewritten {
            rewritten.withText { body($0, &scratch) }
        } else {
            body(text, &scratch)
        }
    }

    /// Changes the pieces; returns the text that they then lie in if it is another one.
    private static func apply(
        _ step: Step, to text: PlacedText, _ keepsOrigin: Bool, _ scratch: inout EncodingScratch
    ) -> MappedText? {
        switch step {
        case .split(let splitter):
            scratch.nextPieces.removeAll(keepingCapacity: true)
            for piece in scratch.pieces { splitter.split(text.bytes, piece, into: &scratch.nextPieces) }
            swap(&scratch.pieces, &scratch.nextPieces)
            return nil
        case .prefixSpace:
            guard scratch.pieces.contains(where: { text.bytes[$0.start] != 0x20 }) else { return nil }
            return rewrite(text, &scratch.pieces, keepsOrigin) { piece, mapped in
                if text.bytes[piece.start] != 0x20 {
                    let original = text.origin.original(piece.start..<piece.start + 1).lowerBound
                    mapped.append(CollectionOfOne(0x20), from: original..<original)
                }
                mapped.copy(piece.start..<piece.end, of: text)
            }
        case .metaspace(let metaspace):
            return rewrite(text, &scratch.pieces, keepsOrigin) { piece, mapped in
                metaspace.append(piece, of: text, to: &mapped)
            }
        case .byteLevel:
            return rewrite(text, &scratch.pieces, keepsOrigin) { piece, mapped in
                ByteLevelAlphabet.append(piece, of: text, to: &mapped)
            }
        }
    }

    /// Writes the pieces one after the other; `pieces` is changed to where they now lie.
    private static func rewrite(
        _ text: PlacedText, _ pieces: inout [PieceRange], _ keepsOrigin: Bool,
        _ write: (PieceRange, inout MappedText) -> Void
    ) -> MappedText {
        var mapped = MappedText(keepsOrigin: keepsOrigin, capacity: text.bytes.count + pieces.count)
        for at in pieces.indices {
            let start = mapped.bytes.count
            write(pieces[at], &mapped)
            pieces[at] = PieceRange(start: start, end: mapped.bytes.count)
        }
        return mapped
    }
}
