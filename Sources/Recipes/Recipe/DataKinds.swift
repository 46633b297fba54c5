import Datasets

// Kinds that belong to one key of the data each.

extension ValueKind<TrainOn> {
    /// One word, or a list of parts of answers.
    static let trainOn: Self = {
        let parts = AnswerPart.allCases.map(\.rawValue)
        let type = "\(TrainOn.words.inWords("or")), or a list of \(parts.inWords("and"))"
        return ValueKind(
            type: type,
            read: { node, key, reader in
                let words: [String?] =
                    switch node.content {
                    case .list(let items): items.map(\.text)
                    default: [node.text]
                    }
                let named = words.compactMap { $0 }
                if named.count == words.count, let trainOn = TrainOn(named) { return trainOn }
                let nearby = named.first { TrainOn([$0]) == nil }.flatMap { nearest(to: $0, in: TrainOn.words + parts) }
                reader.refuse(node, key, expected: type, hint: nearby.map { "did you mean \($0)?" })
                return nil
            },
            write: { trainOn in
                if case .parts = trainOn {
                    return .list(
                        trainOn.words.map { RecipeNode(content: .scalar($0, isPlain: false), place: .commandLine) })
                }
                return .scalar(trainOn.words[0], isPlain: false)
            })
    }()
}

extension ValueKind<[String: String]> {
    /// For keys of some format the keys that records have instead.
    static let dataFields: Self = {
        let known = Set(DatasetFormat.allCases.flatMap { $0.requiredKeys + $0.optionalKeys }).sorted()
        let type = "a mapping from keys of the format to keys of the records"
        return ValueKind(
            type: type,
            read: { node, key, reader in
                guard case .mapping(let entries) = node.content else {
                    reader.refuse(node, key, expected: type, hint: "write it as {messages: dialogue}")
                    return nil
                }
                var fields: [String: String] = [:]
                for entry in entries {
                    guard known.contains(entry.key) else {
                        let hint = nearest(to: entry.key, in: known).map { "did you mean \($0)?" }
                        reader.report(
                            entry.place, "\(key).\(entry.key)", "is a key of no format",
                            hint: hint ?? "keys of formats are \(known.inWords("and"))")
                        return nil
                    }
                    guard
                        let name = ValueKind<String>.text("the name of a key").read(
                            entry.value, "\(key).\(entry.key)", &reader)
                    else { return nil }
                    fields[entry.key] = name
                }
                return fields
            },
            write: { fields in
                .mapping(
                    fields.sorted { $0.key < $1.key }.map { key, name in
                        let value = RecipeNode(content: .scalar(name, isPlain: false), place: .commandLine)
                        return RecipeNode.Entry(key: key, place: .commandLine, value: value)
                    })
            })
    }()
}

extension RecipeNode {
    /// The text of a scalar that is text.
    fileprivate var text: String? { if case .text(let text) = scalar { text } else { nil } }
}
