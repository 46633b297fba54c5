extension Recipe {
    /// The whole recipe as YAML, every key with its value in a fixed order; reading it gives an equal recipe.
    ///
    /// With `adapter.path`, the keys whose values come from the adapter's file are written only if they were stated.
    public func resolvedYAML() -> String { RecipeText.block(.mapping(resolvedSections)) }

    /// The same as a tree.
    var resolvedSections: [RecipeNode.Entry] {
        var sections = entries(Recipe.fields, of: self)
        if adapter.path != nil, let at = sections.firstIndex(where: { $0.key == "adapter" }),
            case .mapping(let keys) = sections[at].value.content
        {
            sections[at].value.content = .mapping(
                keys.filter { !Adapter.keysFromFile.contains($0.key) || states("adapter.\($0.key)") })
        }
        return sections
    }
}

extension RecipeText {
    /// A mapping or a list as lines of YAML, each ending in a line break.
    static func block(_ content: RecipeNode.Content, indent: String = "") -> String {
        switch content {
        case .mapping(let entries):
            return entries.map { entry in
                switch entry.value.content {
                case .mapping(let below) where !below.isEmpty: "\(indent)\(entry.key):\n" + block(entry.value.content, indent: indent + "  ")
                case .list(let items) where items.contains(where: \.isMapping):
                    "\(indent)\(entry.key):\n" + block(entry.value.content, indent: indent + "  ")
                default: "\(indent)\(entry.key): \(inline(entry.value.content))\n"
                }
            }.joined()
        case .list(let items):
            return items.map { item in
                let lines = block(item.content, indent: indent + "  ")
                return "\(indent)- " + lines.dropFirst(indent.count + 2)
            }.joined()
        case .scalar:
            return "\(indent)\(inline(content))\n"
        }
    }

    /// A value on one line.
    static func inline(_ content: RecipeNode.Content) -> String {
        switch content {
        case .scalar(let text, let isPlain): isPlain ? text : scalar(text)
        case .list(let items): "[" + items.map { inline($0.content) }.joined(separator: ", ") + "]"
        case .mapping(let entries):
            "{" + entries.map { "\($0.key): \(inline($0.value.content))" }.joined(separator: ", ") + "}"
        }
    }

    /// Text as a scalar that is read as that text: plain where nothing in it has a meaning of its own.
    private static func scalar(_ text: String) -> String {
        let isHarmless = text.wholeMatch(of: /[A-Za-z0-9_.\/][A-Za-z0-9_.\/\-]*/) != nil
        if isHarmless, RecipeScalar(text, isPlain: true) == .text(text) { return text }
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"": "\\\""
            case "\\": "\\\\"
            case " "..."~", "\u{A0}"..."\u{2027}", "\u{202A}"..."\u{D7FF}", "\u{E000}"..."\u{FEFE}",
                "\u{FF00}"..."\u{FFFD}", "\u{10000}"..."\u{EFFFF}":
                String(scalar)
            default:
                "\\U" + String(repeating: "0", count: 8 - String(scalar.value, radix: 16).count)
                    + String(scalar.value, radix: 16)
            }
        }
        return "\"\(escaped.joined())\""
    }
}

extension RecipeNode {
    var isMapping: Bool { if case .mapping = content { true } else { false } }
}
