/// A setting from the command line, `key.path=value`; the value is YAML, numbers in the path are places in a list:
/// `data.train.0.path` or `data.train[0].path`.
struct RecipeOverride {
    private let path: [String]
    private let value: RecipeNode

    private struct Refusal: Error {
        let message: String
    }

    /// Reads the text of an override.
    init(_ text: String) throws(RecipeError) {
        let key = text.prefix { $0 != "=" }
        let dotted = key.replacing(/\[([0-9]+)\]/) { ".\($0.output.1)" }
        path = dotted.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if key.contains("[]") {
            let first = key.replacing("[]", with: ".0")
            throw RecipeError([
                RecipeProblem(
                    .commandLine, key: String(key), "[] stands for any place in the list, but an override needs one",
                    hint: "write its number, counted from 0: \(first)")
            ])
        }
        guard key.count < text.count, !path.contains("") else {
            throw RecipeError([
                RecipeProblem(
                    .commandLine, key: "", "\(quoted(text)) is not an override", hint: "write key.path=value")
            ])
        }
        do {
            let yaml = String(text.dropFirst(key.count + 1))
            value = try RecipeText.compose(yaml, whole: .commandLine) { _, _ in .commandLine }
        } catch {
            throw RecipeError(
                error.problems.map { RecipeProblem(.commandLine, key: String(key), $0.message, hint: $0.hint) })
        }
    }

    /// Puts the value into the recipe, over what stands there. Keys that no recipe has are put in too and refused with
    /// all others when the tree is read.
    func apply(to root: inout RecipeNode) throws(RecipeError) {
        do {
            try Self.set(value, at: path[...], in: &root, above: "")
        } catch {
            let key = path.joined(separator: ".")
            throw RecipeError([RecipeProblem(.commandLine, key: key, error.message)])
        }
    }

    private static func set(
        _ value: RecipeNode, at path: ArraySlice<String>, in node: inout RecipeNode, above: String
    ) throws(Refusal) {
        guard let name = path.first else {
            node = value
            return
        }
        let here = above.isEmpty ? name : "\(above).\(name)"
        if node.isNull { node = RecipeNode(content: Int(name) == nil ? .mapping([]) : .list([]), place: .commandLine) }
        switch node.content {
        case .mapping(var entries):
            // Of a key given twice, which is an error of its own, the first is the one that is read.
            let at = entries.firstIndex { $0.key == name } ?? entries.count
            if at == entries.count { entries.append(.init(key: name, place: .commandLine, value: .nothing)) }
            try set(value, at: path.dropFirst(), in: &entries[at].value, above: here)
            node.content = .mapping(entries)
        case .list(var items):
            guard let at = Int(name), at >= 0, at <= items.count else {
                throw Refusal(message: "\(above) is a list of \(items.count); \(quoted(name)) is no place in it")
            }
            if at == items.count { items.append(.nothing) }
            try set(value, at: path.dropFirst(), in: &items[at], above: here)
            node.content = .list(items)
        case .scalar:
            throw Refusal(message: "\(above.isEmpty ? "the recipe" : above) is \(node.inWords) and has no keys")
        }
    }
}

extension RecipeNode {
    fileprivate static let nothing = RecipeNode(content: .missing, place: .commandLine)
}
