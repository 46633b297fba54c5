/// A step of the `normalizer` of tokenizer.json: how text is rewritten before it is split.
enum Normalizer: Sendable {
    case form(NormalForm)
    case characters(CharacterRewriting)
    /// Removes white space at the start and at the end.
    case strip(left: Bool, right: Bool)
    case replace(SplitPattern, with: [UInt8])
    /// Put before every text that is not empty.
    case prepend([UInt8])
    case precompiled(PrecompiledMap)
    /// Writes the text in the byte-level alphabet.
    case byteLevel

    /// The rewritten text; `nil` if it stays as it is.
    func apply(to text: PlacedText, keepsOrigin: Bool) -> MappedText? {
        switch self {
        case .form(let form): form.apply(to: text, keepsOrigin: keepsOrigin)
        case .characters(let rewriting): rewriting.apply(to: text, keepsOrigin: keepsOrigin)
        case .precompiled(let map): map.apply(to: text, keepsOrigin: keepsOrigin)
        case .byteLevel: ByteLevelAlphabet.apply(to: text, keepsOrigin: keepsOrigin)
        case .strip(let left, let right):
            Self.strip(text, left: left, right: right, keepsOrigin: keepsOrigin)
        case .replace(let pattern, let content):
            Self.replace(pattern.matches(in: text.bytes, text.whole), with: content, in: text, keepsOrigin: keepsOrigin)
        case .prepend(let content):
            Self.prepend(content, to: text, keepsOrigin: keepsOrigin)
        }
    }

    private static func strip(_ text: PlacedText, left: Bool, right: Bool, keepsOrigin: Bool) -> MappedText? {
        let start = left ? text.bytes.endOfWhitespace(from: 0) : 0
        let end = right ? max(start, text.bytes.startOfWhitespace(before: text.bytes.count)) : text.bytes.count
        if start == 0, end == text.bytes.count { return nil }
        var mapped = MappedText(keepsOrigin: keepsOrigin, capacity: end - start)
        mapped.copy(start..<end, of: text)
        return mapped
    }

    private static func replace(
        _ matches: [PieceRange], with content: [UInt8], in text: PlacedText, keepsOrigin: Bool
    ) -> MappedText? {
        if matches.isEmpty { return nil }
        var mapped = MappedText(
            keepsOrigin: keepsOrigin, capacity: text.bytes.count + content.count * matches.count)
        var copied = 0
        for match in matches {
            mapped.copy(copied..<match.start, of: text)
            mapped.append(content, from: text.origin.original(match.start..<match.end))
            copied = match.end
        }
        mapped.copy(copied..<text.bytes.count, of: text)
        return mapped
    }

    private static func prepend(_ content: [UInt8], to text: PlacedText, keepsOrigin: Bool) -> MappedText? {
        if text.bytes.isEmpty { return nil }
        var mapped = MappedText(keepsOrigin: keepsOrigin, capacity: text.bytes.count + content.count)
        let start = text.origin.original(0..<1).lowerBound
        mapped.append(content, from: start..<start)
        mapped.copy(0..<text.bytes.count, of: text)
        return mapped
    }
}

extension [Normalizer] {
    /// The text after all steps; `nil` if it stays as it is.
    func apply(to text: PlacedText, keepsOrigin: Bool) -> MappedText? {
        var current: MappedText?
        for step in self {
            let next =
                current.map { $0.withText { step.apply(to: $0, keepsOrigin: keepsOrigin) } }
                ?? step.apply(to: text, keepsOrigin: keepsOrigin)
            if let next { current = next }
        }
        return current
    }

    /// The bytes of a text after all steps.
    func normalized(_ text: String) -> [UInt8] {
        let bytes = [UInt8](text.utf8)
        return bytes.withUnsafeBufferPointer {
            apply(to: PlacedText(bytes: $0, origin: .shifted(by: 0)), keepsOrigin: false)?.bytes
        } ?? bytes
    }
}
