import Foundation

/// The normalisers of tokenizer.json that rewrite text by a Unicode normal form.
enum Normalizer: String, Sendable {
    case composed = "NFC"
    case decomposed = "NFD"
    case compatibilityComposed = "NFKC"
    case compatibilityDecomposed = "NFKD"

    /// Reads the `normalizer` of tokenizer.json into the steps that are applied one after the other.
    static func steps(_ value: JSONValue?, place: String) throws(TokenizationError) -> [Normalizer] {
        guard let value, value != .null else { return [] }
        let fields = try JSONFields(value, place)
        let type = try fields.string("type")
        if type == "Sequence" {
            var steps: [Normalizer] = []
            for (at, step) in try fields.array("normalizers").enumerated() {
                steps += try Self.steps(step, place: "\(place).normalizers[\(at)]")
            }
            return steps
        }
        guard let normalizer = Normalizer(rawValue: type) else {
            throw .unsupported(
                place: place, found: "the normaliser \(type)", supported: "none, NFC, NFD, NFKC, NFKD, Sequence")
        }
        return [normalizer]
    }

    func apply(_ text: String) -> String {
        switch self {
        case .composed: text.precomposedStringWithCanonicalMapping
        case .decomposed: text.decomposedStringWithCanonicalMapping
        case .compatibilityComposed: text.precomposedStringWithCompatibilityMapping
        case .compatibilityDecomposed: text.decomposedStringWithCompatibilityMapping
        }
    }

    /// Whether these bytes are certainly left as they are: no form touches ASCII, and NFC nothing below U+0300.
    func leavesAlone(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let limit: UInt8 = self == .composed ? 0xCC : 0x80
        return bytes.allSatisfy { $0 < limit }
    }

    /// The normalised text with its origin; `nil` if it is the text itself.
    ///
    /// Works character by character (grapheme clusters), since normalisation never reaches across their borders; a
    /// character that changes stands for all of its original bytes.
    static func apply(_ steps: [Normalizer], to bytes: UnsafeBufferPointer<UInt8>, offset: Int) -> MappedText? {
        if steps.allSatisfy({ $0.leavesAlone(bytes) }) { return nil }
        var mapped = MappedText()
        var position = offset
        for character in String(decoding: bytes, as: UTF8.self) {
            let original = String(character)
            let changed = steps.reduce(original) { $1.apply($0) }
            let end = position + original.utf8.count
            if changed.hasSameBytes(as: original) {
                for (at, byte) in original.utf8.enumerated() { mapped.append(byte, from: position + at..<position + at + 1) }
            } else {
                for byte in changed.utf8 { mapped.append(byte, from: position..<end) }
            }
            position = end
        }
        return mapped
    }
}
