/// One text being decoded, token by token: every step passes on what is certain and keeps back the rest.
struct DecodingRun: Sendable {
    private var stages: [DecodingStage]
    private(set) var output: [UInt8] = []

    init(_ decoder: TokenDecoder) { stages = decoder.steps.map { DecodingStage($0) } }

    /// Takes the next token.
    mutating func append(_ token: some Sequence<UInt8>) { pass(TokenPart(bytes: Array(token), endsToken: true), to: 0) }

    /// Ends the text.
    mutating func finish() {
        for at in stages.indices {
            for part in stages[at].finish() { pass(part, to: at + 1) }
        }
    }

    /// The output so far, which is then forgotten.
    mutating func takeOutput() -> [UInt8] {
        defer { output.removeAll(keepingCapacity: true) }
        return output
    }

    private mutating func pass(_ part: TokenPart, to at: Int) {
        guard at < stages.count else { return output.append(contentsOf: part.bytes) }
        for next in stages[at].receive(part) { pass(next, to: at + 1) }
    }
}

/// Part of a token on its way through the steps: whole characters.
struct TokenPart: Sendable {
    var bytes: [UInt8]
    /// Whether the token is complete with this part.
    var endsToken: Bool
}

/// A step of the decoder with what it remembers.
struct DecodingStage: Sendable {
    private let step: TokenDecoder.Step
    /// The parts of a token that has not ended yet, for steps that need whole tokens.
    private var held: [UInt8] = []
    /// Bytes that are no whole character yet, or (`byteFallback`) all bytes of a run of byte tokens.
    private var bytes: [UInt8] = []
    private var isFirstToken = true
    /// How many characters may still be stripped from the start of the token; `nil` before it starts.
    private var strippable: Int?
    /// A token that waits for the next one.
    private var waiting: [UInt8]?

    init(_ step: TokenDecoder.Step) { self.step = step }

    /// What can be passed on after the next part.
    mutating func receive(_ part: TokenPart) -> [TokenPart] {
        switch step {
        case .fuse: return part.bytes.isEmpty ? [] : [TokenPart(bytes: part.bytes, endsToken: false)]
        case .strip(let scalar, let start, let stop):
            return [strip(part, Array(String(scalar).utf8), start: start, stop: stop)]
        case .metaspace(let scalar, let prepends):
            let space: [UInt8] = isFirstToken && prepends ? [] : [0x20]
            if part.endsToken { isFirstToken = false }
            return [TokenPart(bytes: part.bytes.replacing(Array(String(scalar).utf8), with: space), endsToken: part.endsToken)]
        case .spaced:
            guard part.endsToken else { return [part] }
            defer { isFirstToken = false }
            return [TokenPart(bytes: (isFirstToken ? [] : [0x20]) + part.bytes, endsToken: true)]
        case .replace, .byteLevel, .byteFallback, .wordPiece, .wordEnd:
            held += part.bytes
            guard part.endsToken else { return [] }
            defer { held.removeAll(keepingCapacity: true) }
            return receiveToken(held)
        }
    }

    /// What is left when the text ends.
    mutating func finish() -> [TokenPart] {
        switch step {
        case .fuse: return [TokenPart(bytes: [], endsToken: true)]
        case .byteLevel:
            let rest = Array(String(decoding: bytes, as: UTF8.self).utf8)
            bytes.removeAll()
            return [TokenPart(bytes: rest, endsToken: true)]
        case .byteFallback: return endByteRun()
        case .wordEnd(let suffix):
            defer { waiting = nil }
            return waiting.map { [TokenPart(bytes: $0.replacing(suffix, with: []), endsToken: true)] } ?? []
        default: return []
        }
    }

    private mutating func receiveToken(_ token: [UInt8]) -> [TokenPart] {
        switch step {
        case .replace(let pattern, let content):
            return [TokenPart(bytes: token.replacing(pattern, with: content), endsToken: true)]
        case .byteLevel:
            if !ByteLevelAlphabet.appendBytes(of: String(decoding: token, as: UTF8.self), to: &bytes) { bytes += token }
            let complete = bytes.count - UTF8Ending.unfinishedCount(bytes)
            defer { bytes.removeFirst(complete) }
            return [
                TokenPart(bytes: Array(String(decoding: bytes[..<complete], as: UTF8.self).utf8), endsToken: false)
            ]
        case .byteFallback:
            if let byte = ByteFallback.byte(token) {
                bytes.append(byte)
                return []
            }
            return endByteRun() + [TokenPart(bytes: token, endsToken: true)]
        case .wordPiece(let prefix, let cleans):
            return [TokenPart(bytes: wordPiece(token, prefix, cleans), endsToken: true)]
        case .wordEnd(let suffix):
            defer { waiting = token }
            return waiting.map { [TokenPart(bytes: $0.replacing(suffix, with: [0x20]), endsToken: true)] } ?? []
        case .fuse, .strip, .metaspace, .spaced: return [TokenPart(bytes: token, endsToken: true)]
        }
    }

    /// A run of byte tokens is text if all of it is valid, and otherwise one U+FFFD for each.
    private mutating func endByteRun() -> [TokenPart] {
        guard !bytes.isEmpty else { return [] }
        defer { bytes.removeAll(keepingCapacity: true) }
        if String(validating: bytes, as: UTF8.self) != nil { return [TokenPart(bytes: bytes, endsToken: true)] }
        return bytes.map { _ in TokenPart(bytes: [0xEF, 0xBF, 0xBD], endsToken: true) }
    }

    private mutating func strip(_ part: TokenPart, _ content: [UInt8], start: Int, stop: Int) -> TokenPart {
        var left = strippable ?? start
        var rest = (held + part.bytes)[...]
        held.removeAll(keepingCapacity: true)
        while left > 0, rest.starts(with: content) {
            rest = rest.dropFirst(content.count)
            left -= 1
        }
        if !rest.isEmpty { left = 0 }
        strippable = part.endsToken ? nil : left
        // The token's last characters may have to go; they wait until it ends.
        var (ending, endingCount) = (rest.endIndex, 0)
        while endingCount < stop, rest[..<ending].suffix(content.count).elementsEqual(content) {
            ending -= content.count
            endingCount += 1
        }
        if !part.endsToken { held = Array(rest[ending...]) }
        return TokenPart(bytes: Array(rest[..<ending]), endsToken: part.endsToken)
    }

    private mutating func wordPiece(_ token: [UInt8], _ prefix: [UInt8], _ cleans: Bool) -> [UInt8] {
        var text = token
        if !isFirstToken {
            text = token.starts(with: prefix) ? Array(token.dropFirst(prefix.count)) : [0x20] + token
        }
        isFirstToken = false
        return cleans ? EnglishCleanup.apply(to: text) : text
    }
}

/// The tidying up of English punctuation that BERT's decoder does.
private enum EnglishCleanup {
    private static let replacements: [([UInt8], [UInt8])] = [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
        (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ].map { (Array($0.0.utf8), Array($0.1.utf8)) }

    static func apply(to text: [UInt8]) -> [UInt8] {
        replacements.reduce(text) { $0.replacing($1.0, with: $1.1) }
    }
}

extension [UInt8] {
    fileprivate func replacing(_ text: [UInt8], with content: [UInt8]) -> [UInt8] {
        text.isEmpty ? self : replacing(.literal(text), with: content)
    }

    /// These bytes, which must be valid UTF-8, with every match replaced.
    fileprivate func replacing(_ pattern: SplitPattern, with content: [UInt8]) -> [UInt8] {
        let matches = withUnsafeBufferPointer { pattern.matches(in: $0, PieceRange(start: 0, end: count)) }
        if matches.isEmpty { return self }
        var output: [UInt8] = []
        var copied = 0
        for match in matches {
            output += self[copied..<match.start] + content
            copied = match.end
        }
        return output + self[copied...]
    }
}
