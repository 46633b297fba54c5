/// Reads the `normalizer` of tokenizer.json into the steps that are applied one after the other.
extension [Normalizer] {
    init(_ value: JSONValue?, place: String) throws(TokenizationError) {
        self = []
        guard let value, value != .null else { return }
        let fields = try JSONFields(value, place)
        let type = try fields.string("type")
        switch type {
        case "Sequence":
            for (at, step) in try fields.array("normalizers").enumerated() {
                self += try Self(step, place: "\(place).normalizers[\(at)]")
            }
        case "BertNormalizer": self = try Self.bert(fields)
        default: self = [try Normalizer(type, fields)]
        }
    }

    /// `BertNormalizer` is a handful of simpler steps.
    private static func bert(_ fields: JSONFields) throws(TokenizationError) -> [Normalizer] {
        let lowercase = try fields.bool("lowercase")
        var steps: [Normalizer] = []
        if try fields.bool("clean_text") { steps.append(.characters(.cleanText)) }
        if try fields.bool("handle_chinese_chars") { steps.append(.characters(.spaceIdeographs)) }
        if try fields.bool("strip_accents", default: lowercase) {
            steps += [.form(.decomposed), .characters(.removeAccents)]
        }
        if lowercase { steps.append(.characters(.lowercase)) }
        return steps
    }
}

extension Normalizer {
    fileprivate init(_ type: String, _ fields: JSONFields) throws(TokenizationError) {
        if let form = NormalForm(rawValue: type) {
            self = .form(form)
            return
        }
        switch type {
        case "Nmt": self = .characters(.nmt)
        case "Lowercase": self = .characters(.lowercase)
        case "StripAccents": self = .characters(.removeMarks)
        case "Strip": self = .strip(left: try fields.bool("strip_left"), right: try fields.bool("strip_right"))
        case "Replace": self = .replace(try SplitPattern(fields), with: Array(try fields.string("content").utf8))
        case "Prepend": self = .prepend(Array(try fields.string("prepend").utf8))
        case "Precompiled": self = .precompiled(try PrecompiledMap(fields))
        case "ByteLevel": self = .byteLevel
        default:
            throw .unsupported(
                place: fields.place, found: "the normaliser \(type)",
                supported: "Sequence, NFC, NFD, NFKC, NFKD, Nmt, Lowercase, StripAccents, Strip, Replace, Prepend, "
                    + "Precompiled, BertNormalizer and ByteLevel")
        }
    }
}
