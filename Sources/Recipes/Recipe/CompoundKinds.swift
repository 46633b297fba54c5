// Kinds that are made of others, and the few that belong to one key.

extension ValueKind {
    /// The kind, or null for `nil`.
    static func optional<Wrapped>(_ kind: ValueKind<Wrapped>) -> ValueKind<Wrapped?> where Value == Wrapped? {
        ValueKind<Wrapped?>(
            type: "\(kind.type), or null",
            read: { node, key, reader in
                if node.isNull { return .some(nil) }
                return kind.read(node, key, &reader).map { .some($0) }
            },
            write: { $0.map(kind.write) ?? .scalar("null", isPlain: true) })
    }

    /// A list; `plural` names its elements, `isEmptyAllowed` whether there may be none, `form` how
    /// to write them for someone who wrote no list.
    static func list<Element>(
        _ plural: String, of kind: ValueKind<Element>, isEmptyAllowed: Bool = true,
        form: String = "put it in brackets: [ ]"
    ) -> ValueKind<[Element]> where Value == [Element] {
        let type = isEmptyAllowed ? "a list of \(plural)" : "a list of one or more \(plural)"
        return ValueKind<[Element]>(
            type: type,
            read: { node, key, reader in
                guard case .list(let items) = node.content, isEmptyAllowed || !items.isEmpty else {
                    reader.refuse(node, key, expected: type, hint: listHint(node, form))
                    return nil
                }
                let values = items.enumerated().map { kind.read($1, "\(key).\($0)", &reader) }
                return values.contains { $0 == nil } ? nil : values.compactMap { $0 }
            },
            write: { values in
                .list(values.map { RecipeNode(content: kind.write($0), place: .commandLine) })
            })
    }

    private static func listHint(_ node: RecipeNode, _ form: String) -> String? {
        switch node.content {
        case .list: nil
        case .mapping: "put a dash (-) before its first key"
        case .scalar: node.isNull ? "give a value or remove the key" : form
        }
    }

    /// A mapping with fields of its own, over the values of `initial`.
    static func section(_ fields: @escaping @Sendable () -> [RecipeField<Value>], over initial: Value) -> Self {
        ValueKind(
            type: "a mapping",
            read: { node, key, reader in
                var value = initial
                let before = reader.problems.count
                reader.section(node, key, fields(), into: &value)
                return reader.problems.count == before ? value : nil
            },
            write: { value in .mapping(entries(fields(), of: value)) })
    }
}

extension ValueKind {
    /// A whole number, or one of some words that stand for values of their own.
    static func words(
        _ words: [(word: String, value: Value)], orInteger range: ClosedRange<Int>,
        make: @escaping @Sendable (Int) -> Value, count: @escaping @Sendable (Value) -> Int?
    ) -> ValueKind where Value: Equatable {
        let integer = ValueKind<Int>.integer(range)
        let type = (words.map(\.word) + [integer.type]).inWords("or")
        return ValueKind(
            type: type,
            read: { node, key, reader in
                if case .integer(let value?) = node.scalar, range.contains(value) { return make(value) }
                if case .text(let text) = node.scalar, let found = words.first(where: { $0.word == text }) {
                    return found.value
                }
                reader.refuse(node, key, expected: type)
                return nil
            },
            write: { value in
                if let count = count(value) { return integer.write(count) }
                return .scalar(words.first { $0.value == value }?.word ?? "", isPlain: false)
            })
    }
}

extension ValueKind<Recipe.Training.Threads> {
    static let threads = words([("auto", .automatic)], orInteger: Value.allowed, make: { .count($0) }) {
        if case .count(let value) = $0 { value } else { nil }
    }
}

extension ValueKind<Recipe.Training.SplitTokens> {
    static let splitTokens = words(
        [("auto", .automatic), ("none", .none)], orInteger: 1...16_777_216, make: { .count($0) }
    ) {
        if case .count(let value) = $0 { value } else { nil }
    }
}

extension ValueKind<Recipe.Training.Betas> {
    static let betas: Self = {
        let type = "a list of two numbers of 0 or more and below 1"
        let numbers = ValueKind<[Double]>.list("numbers", of: .number("of 0 or more and below 1") { $0 >= 0 && $0 < 1 })
        return ValueKind(
            type: type,
            read: { node, key, reader in
                guard case .list(let items) = node.content, items.count == 2 else {
                    reader.refuse(node, key, expected: type)
                    return nil
                }
                guard let values = numbers.read(node, key, &reader) else { return nil }
                var betas = Recipe.Training.Betas()
                (betas.first, betas.second) = (values[0], values[1])
                return betas
            },
            write: { numbers.write([$0.first, $0.second]) })
    }()
}

extension ValueKind<[Recipe.Output.Form]> {
    /// At least one form, none twice.
    static let forms: Self = {
        let list = Self.list("of adapter and merged", of: .choice(), isEmptyAllowed: false)
        return ValueKind(
            type: list.type,
            read: { node, key, reader in
                guard let forms = list.read(node, key, &reader) else { return nil }
                if Set(forms).count < forms.count {
                    reader.report(node.place, key, "names a form twice", hint: "keep each once")
                    return nil
                }
                return forms
            },
            write: list.write)
    }()
}
