/// The `pre_tokenizer` of tokenizer.json: the steps that cut text into pieces no token reaches across.
struct PreTokenizer: Sendable {
    enum Step: Sendable {
        case split(Splitter)
        /// Puts a space before every piece that does not start with one.
        case prefixSpace
    }

    private(set) var steps: [Step] = []
    /// Whether the pieces are written in the byte-level alphabet.
    private(set) var isByteLevel = false

    init(_ value: JSONValue?, place: String) throws(TokenizationError) {
        guard let value, value != .null else { return }
        try add(JSONFields(value, place))
    }

    private mutating func add(_ fields: JSONFields) throws(TokenizationError) {
        let type = try fields.string("type")
        if isByteLevel {
            throw .unsupported(
                place: fields.place, found: "the pre-tokeniser \(type) after ByteLevel",
                supported: "ByteLevel as the last one")
        }
        switch type {
        case "Sequence":
            for (at, step) in try fields.array("pretokenizers").enumerated() {
                try add(JSONFields(step, "\(fields.place).pretokenizers[\(at)]"))
            }
        case "Split": steps.append(.split(try Self.split(fields)))
        case "Digits":
            let single = try fields.bool("individual_digits", default: false)
            steps.append(
                .split(
                    Splitter(
                        pattern: .characters(.number), behavior: single ? .isolated : .contiguous, isInverted: false)))
        case "ByteLevel":
            if try fields.bool("add_prefix_space", default: true) { steps.append(.prefixSpace) }
            if try fields.bool("use_regex", default: true) {
                steps.append(.split(Splitter(pattern: .scanner(.gpt2), behavior: .isolated, isInverted: false)))
            }
            isByteLevel = true
        default:
            throw .unsupported(
                place: fields.place, found: "the pre-tokeniser \(type)",
                supported: "Sequence, Split, Digits and ByteLevel (byte-level BPE)")
        }
    }

    private static func split(_ fields: JSONFields) throws(TokenizationError) -> Splitter {
        let name = try fields.string("behavior")
        guard let behavior = SplitBehavior(rawValue: name) else {
            throw .malformed(
                place: "\(fields.place).behavior", found: "\"\(name)\"",
                expected: "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous")
        }
        let pattern = try fields.fields("pattern")
        let isInverted = try fields.bool("invert", default: false)
        if pattern.present("String") != nil {
            let text = Array(try pattern.string("String").utf8)
            return Splitter(pattern: .literal(text), behavior: behavior, isInverted: isInverted)
        }
        let expression = try pattern.string("Regex")
        if let scanner = SplitScanner(pattern: expression) {
            return Splitter(pattern: .scanner(scanner), behavior: behavior, isInverted: isInverted)
        }
        guard let matcher = RegexMatcher(expression) else {
            throw .invalidPattern(place: pattern.place, pattern: expression)
        }
        return Splitter(pattern: .regex(matcher), behavior: behavior, isInverted: isInverted)
    }

    /// Hands over the pieces of `bytes` together with the text they lie in and its origin; that text is `bytes`
    /// itself unless a step has changed it.
    func split(
        _ bytes: UnsafeBufferPointer<UInt8>, _ range: PieceRange, origin: Origin, scratch: inout EncodingScratch,
        body: (UnsafeBufferPointer<UInt8>, Origin, inout EncodingScratch) -> Void
    ) {
        scratch.pieces.removeAll(keepingCapacity: true)
        scratch.pieces.append(range)
        split(bytes, steps[...], origin: origin, scratch: &scratch, body: body)
    }

    private func split(
        _ bytes: UnsafeBufferPointer<UInt8>, _ steps: ArraySlice<Step>, origin: Origin,
        scratch: inout EncodingScratch,
        body: (UnsafeBufferPointer<UInt8>, Origin, inout EncodingScratch) -> Void
    ) {
        for (at, step) in zip(steps.indices, steps) {
            switch step {
            case .split(let splitter):
                scratch.nextPieces.removeAll(keepingCapacity: true)
                for piece in scratch.pieces { splitter.split(bytes, piece, into: &scratch.nextPieces) }
                swap(&scratch.pieces, &scratch.nextPieces)
            case .prefixSpace:
                guard scratch.pieces.contains(where: { bytes[$0.start] != 0x20 }) else { continue }
                let text = Self.prefixed(bytes, &scratch.pieces, origin)
                return text.bytes.withUnsafeBufferPointer {
                    split($0, steps[(at + 1)...], origin: .mapped(text), scratch: &scratch, body: body)
                }
            }
        }
        body(bytes, origin, &scratch)
    }

    /// The pieces one after the other, each starting with a space; `pieces` is changed to where they now lie.
    private static func prefixed(
        _ bytes: UnsafeBufferPointer<UInt8>, _ pieces: inout [PieceRange], _ origin: Origin
    ) -> MappedText {
        var text = MappedText()
        for at in pieces.indices {
            let piece = pieces[at]
            let start = text.bytes.count
            if bytes[piece.start] != 0x20 {
                let original = origin.original(piece.start..<piece.start + 1).lowerBound
                text.append(0x20, from: original..<original)
            }
            for position in piece.start..<piece.end {
                text.append(bytes[position], from: origin.original(position..<position + 1))
            }
            pieces[at] = PieceRange(start: start, end: text.bytes.count)
        }
        return text
    }
}
