/// Normalisers that look at one character at a time.
enum CharacterRewriting: Sendable {
    /// `Nmt`: removes control characters and turns separators into spaces.
    case nmt
    case lowercase
    /// `StripAccents`: removes combining marks.
    case removeMarks
    /// Part of `BertNormalizer`: removes non-spacing marks.
    case removeAccents
    /// Part of `BertNormalizer`: removes control characters and turns white space into spaces.
    case cleanText
    /// Part of `BertNormalizer`: puts spaces around ideographs.
    case spaceIdeographs

    /// The rewritten text; `nil` if it stays as it is.
    func apply(to text: PlacedText, keepsOrigin: Bool) -> MappedText? {
        let characters = PieceText(text.bytes)
        var mapped = MappedText(keepsOrigin: keepsOrigin)
        var (copied, at) = (0, 0)
        var content: [UInt8] = []
        while at < text.bytes.count {
            let (value, end) = characters.scalar(at)
            content.removeAll(keepingCapacity: true)
            if rewrite(value, into: &content) {
                mapped.copy(copied..<at, of: text)
                mapped.append(content, from: text.origin.original(at..<end))
                copied = end
            }
            at = end
        }
        if copied == 0 { return nil }
        mapped.copy(copied..<text.bytes.count, of: text)
        return mapped
    }

    /// Appends what takes the character's place, perhaps nothing; `false` if it stays.
    @inline(__always)
    private func rewrite(_ value: UInt32, into content: inout [UInt8]) -> Bool {
        switch self {
        case .nmt: return Self.rewriteNmt(value, into: &content)
        case .lowercase:
            if value < 0x80 {
                guard 0x41...0x5A ~= value else { return false }
                content.append(UInt8(truncatingIfNeeded: value | 0x20))
                return true
            }
            guard let scalar = Unicode.Scalar(value), scalar.properties.changesWhenLowercased else { return false }
            content.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
            return true
        case .removeMarks:
            return value >= 0x300 && Unicode.Scalar(value).map { OldCategories.isCombiningMark($0) } ?? false
        case .removeAccents:
            return value >= 0x300 && Unicode.Scalar(value).map { OldCategories.isAccent($0) } ?? false
        case .cleanText: return Self.rewriteForCleanText(value, into: &content)
        case .spaceIdeographs:
            guard Self.isIdeograph(value) else { return false }
            content.append(0x20)
            content.appendUTF8(value)
            content.append(0x20)
            return true
        }
    }

    private static func rewriteNmt(_ value: UInt32, into content: inout [UInt8]) -> Bool {
        switch value {
        case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: return true
        case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD:
            content.append(0x20)
            return true
        default: return false
        }
    }

    private static func rewriteForCleanText(_ value: UInt32, into content: inout [UInt8]) -> Bool {
        if 0x20..<0x7F ~= value { return false }
        guard let scalar = Unicode.Scalar(value) else { return false }
        let isLineEnd = value == 0x09 || value == 0x0A || value == 0x0D
        if value == 0 || value == 0xFFFD || !isLineEnd && OldCategories.isControl(scalar) { return true }
        guard scalar.properties.isWhitespace else { return false }
        content.append(0x20)
        return true
    }

    /// The blocks that BERT's own code lists, gaps included.
    private static func isIdeograph(_ value: UInt32) -> Bool {
        switch value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
            0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }
}
