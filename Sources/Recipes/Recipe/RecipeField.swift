/// One key of a section: the single description from which it is read, written and documented.
struct RecipeField<Owner: Sendable>: Sendable {
    let name: String
    /// Whether the section makes no sense without it.
    let isRequired: Bool
    /// Whether it is a section, which is read even when it is not there.
    let isSection: Bool
    /// The other key of a pair of which a recipe gives one; such a key is written only while it holds.
    let alternative: String?
    let read: @Sendable (RecipeNode, String, inout Owner, inout RecipeReader) -> Void
    let write: @Sendable (Owner) -> RecipeNode.Content
    /// The documentation of this key or of the keys below it, from the path of the section and its defaults.
    let keys: @Sendable (String, Owner) -> [RecipeKey]

    /// A key with one value.
    static func key<Value>(
        _ name: String, _ property: any WritableKeyPath<Owner, Value> & Sendable, _ kind: ValueKind<Value>,
        required: Bool = false, insteadOf alternative: String? = nil, _ summary: String
    ) -> RecipeField {
        RecipeField(
            name: name, isRequired: required, isSection: false, alternative: alternative,
            read: { node, key, owner, reader in
                if let value = kind.read(node, key, &reader) { owner[keyPath: property] = value }
            },
            write: { kind.write($0[keyPath: property]) },
            keys: { path, owner in
                let text = RecipeText.inline(kind.write(owner[keyPath: property]))
                let defaultText = required ? "required" : alternative != nil && text == "null" ? "not set" : text
                return [RecipeKey(path: path + name, type: kind.type, defaultText: defaultText, summary: summary)]
            })
    }

    /// A section below this one.
    static func section<Value>(
        _ name: String, _ property: any WritableKeyPath<Owner, Value> & Sendable,
        _ fields: @escaping @Sendable () -> [RecipeField<Value>]
    ) -> RecipeField {
        RecipeField(
            name: name, isRequired: false, isSection: true, alternative: nil,
            read: { node, key, owner, reader in
                reader.section(node, key, fields(), into: &owner[keyPath: property])
            },
            write: { .mapping(entries(fields(), of: $0[keyPath: property])) },
            keys: { path, owner in fields().flatMap { $0.keys("\(path)\(name).", owner[keyPath: property]) } })
    }

    /// A list of sections; `initial` holds the defaults of each.
    static func sections<Value>(
        _ name: String, _ property: any WritableKeyPath<Owner, [Value]> & Sendable, over initial: Value,
        isRequired: Bool = false, _ fields: @escaping @Sendable () -> [RecipeField<Value>], _ summary: String
    ) -> RecipeField {
        let kind = ValueKind<[Value]>.list(
            "files", of: .section(fields, over: initial), isEmptyAllowed: !isRequired, form: "write it as - path: FILE")
        let list = key(name, property, kind, required: isRequired, summary)
        return RecipeField(
            name: name, isRequired: list.isRequired, isSection: false, alternative: nil, read: list.read,
            write: list.write,
            keys: { path, owner in
                list.keys(path, owner) + fields().flatMap { $0.keys("\(path)\(name)[].", initial) }
            })
    }
}

/// A section's keys with their values, in the order of its fields.
func entries<Owner>(_ fields: [RecipeField<Owner>], of owner: Owner) -> [RecipeNode.Entry] {
    fields.compactMap { field in
        let node = RecipeNode(content: field.write(owner), place: .commandLine)
        if field.alternative != nil, node.isNull { return nil }
        return RecipeNode.Entry(key: field.name, place: .commandLine, value: node)
    }
}
