// Which modules an adapter reaches: a group, one pattern, or a list of names and patterns.

extension ValueKind<Recipe.TargetModules> {
    static let targetModules: Self = {
        let groups = Recipe.TargetModules.Group.allCases.map(\.rawValue)
        let type = "\(groups.inWords("or")), a regular expression, or a list of module names"
        let names = ValueKind<[String]>.modules(isEmptyAllowed: false)
        return ValueKind(
            type: type,
            read: { node, key, reader in
                switch (node.content, node.scalar) {
                case (.list, _): return names.read(node, key, &reader).map { .names($0) }
                case (_, .text(let text)?) where !text.isEmpty:
                    if let group = Recipe.TargetModules.Group(rawValue: text) { return .group(group) }
                    return pattern(text, node, key, groups, &reader)
                default:
                    reader.refuse(node, key, expected: type)
                    return nil
                }
            },
            write: { modules in
                switch modules {
                case .group(let group): .scalar(group.rawValue, isPlain: false)
                case .pattern(let pattern): .scalar(pattern, isPlain: false)
                case .names(let list): names.write(list)
                }
            })
    }()

    private static func pattern(
        _ text: String, _ node: RecipeNode, _ key: String, _ groups: [String], _ reader: inout RecipeReader
    ) -> Recipe.TargetModules? {
        // A lone word has to match a module's whole name, which no module of a model has: a slip, not a pattern.
        if isName(text), !text.contains(".") {
            let group = nearest(to: text, in: groups)
            let hint = group.map { "did you mean \($0)?" } ?? "for a module name write [\(text)]"
            reader.report(node.place, key, "\(quoted(text)) is not a group", hint: hint)
            return nil
        }
        return reader.isPattern(text, node, key) ? .pattern(text) : nil
    }
}

extension ValueKind<[String]> {
    /// A list of module names and patterns.
    static func modules(isEmptyAllowed: Bool = true) -> Self {
        let element = ValueKind<String>(
            type: "a module name or a pattern",
            read: { node, key, reader in
                let kind = ValueKind<String>.text("a module name or a pattern")
                guard let text = kind.read(node, key, &reader) else { return nil }
                if Recipe.TargetModules.Group(rawValue: text) != nil {
                    reader.report(
                        node.place, key, "\(quoted(text)) is a group, not a module name",
                        hint: "a group stands alone, without a list: adapter.target_modules: \(text)")
                    return nil
                }
                return isName(text) || reader.isPattern(text, node, key) ? text : nil
            },
            write: { .scalar($0, isPlain: false) })
        return .list("module names", of: element, isEmptyAllowed: isEmptyAllowed)
    }
}

private func isName(_ text: String) -> Bool { text.wholeMatch(of: /[A-Za-z0-9_.-]+/) != nil }

extension RecipeReader {
    /// Whether `text` is a regular expression; reports it when it is not.
    fileprivate mutating func isPattern(_ text: String, _ node: RecipeNode, _ key: String) -> Bool {
        if (try? Regex(text)) != nil { return true }
        report(node.place, key, "\(quoted(text)) is not a valid regular expression", hint: "check its brackets")
        return false
    }
}
