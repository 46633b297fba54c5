/// The `post_processor` of tokenizer.json as far as one text is concerned: ids put before and after it.
struct PostProcessor: Sendable, Hashable {
    private(set) var prefix: [TokenID] = []
    private(set) var suffix: [TokenID] = []

    init(_ value: JSONValue?, place: String, vocabularySize: Int) throws(TokenizationError) {
        guard let value, value != .null else { return }
        try add(JSONFields(value, place), vocabularySize)
    }

    private mutating func add(_ fields: JSONFields, _ vocabularySize: Int) throws(TokenizationError) {
        let type = try fields.string("type")
        switch type {
        case "Sequence":
            for (at, step) in try fields.array("processors").enumerated() {
                try add(JSONFields(step, "\(fields.place).processors[\(at)]"), vocabularySize)
            }
        case "ByteLevel": break  // Concerns offsets only.
        case "TemplateProcessing": try addTemplate(fields, vocabularySize)
        case "BertProcessing", "RobertaProcessing":
            prefix.insert(try Self.id(in: "cls", fields, vocabularySize), at: 0)
            suffix.append(try Self.id(in: "sep", fields, vocabularySize))
        default:
            throw .unsupported(
                place: fields.place, found: "the post-processor \(type)",
                supported: "Sequence, ByteLevel, TemplateProcessing, BertProcessing and RobertaProcessing")
        }
    }

    private mutating func addTemplate(_ fields: JSONFields, _ vocabularySize: Int) throws(TokenizationError) {
        var (before, after): ([TokenID], [TokenID]) = ([], [])
        var seenText = false
        for (at, element) in try fields.array("single").enumerated() {
            let piece = try JSONFields(element, "\(fields.place).single[\(at)]")
            if piece.present("Sequence") != nil {
                let sequence = try piece.fields("Sequence")
                let name = try sequence.string("id")
                guard name == "A", !seenText else {
                    throw .malformed(
                        place: sequence.place, found: "the sequence \"\(name)\"",
                        expected: "the sequence A, once")
                }
                seenText = true
            } else {
                let name = try piece.fields("SpecialToken").string("id")
                let ids = try Self.ids(of: name, fields, vocabularySize)
                if seenText { after += ids } else { before += ids }
            }
        }
        guard seenText else {
            throw .malformed(place: "\(fields.place).single", found: "no sequence A", expected: "the sequence A, once")
        }
        prefix = before + prefix
        suffix += after
    }

    /// The id of a pair of token and id.
    private static func id(
        in key: String, _ fields: JSONFields, _ vocabularySize: Int
    ) throws(TokenizationError) -> TokenID {
        let pair = try fields.array(key)
        guard pair.count == 2, let token = pair[0].stringValue, case .integer(let id) = pair[1] else {
            throw JSONFields.malformed("\(fields.place).\(key)", fields.object[key], "a pair of token and id")
        }
        guard (0..<vocabularySize).contains(id) else {
            throw .idOutOfRange(token: token, id: id, limit: vocabularySize - 1)
        }
        return TokenID(id)
    }

    private static func ids(
        of name: String, _ fields: JSONFields, _ vocabularySize: Int
    ) throws(TokenizationError) -> [TokenID] {
        let token = try fields.fields("special_tokens").fields(name)
        var ids: [TokenID] = []
        for value in try token.array("ids") {
            guard case .integer(let id) = value else {
                throw JSONFields.malformed("\(token.place).ids", value, "an integer")
            }
            guard (0..<vocabularySize).contains(id) else {
                throw .idOutOfRange(token: name, id: id, limit: vocabularySize - 1)
            }
            ids.append(TokenID(id))
        }
        return ids
    }
}
