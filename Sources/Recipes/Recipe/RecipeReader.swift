/// Collects what is wrong with a recipe while its sections are read.
struct RecipeReader {
    private(set) var problems: [RecipeProblem] = []
    private(set) var places: [String: RecipePlace] = [:]

    /// Keys that stand in the recipe under another tool's name.
    private var renamed: Set<String> = []
    private static let missing = "is missing"

    /// The problems without keys that are missing only because they have another name.
    var problemsToTell: [RecipeProblem] { problems.filter { $0.message != Self.missing || !renamed.contains($0.key) } }

    mutating func report(_ place: RecipePlace, _ key: String, _ message: String, hint: String? = nil) {
        problems.append(RecipeProblem(place, key: key, message, hint: hint))
    }

    /// Reports a value that is not what its key expects.
    mutating func refuse(_ node: RecipeNode, _ key: String, expected: String, hint: String? = nil) {
        report(node.place, key, "expected \(expected), found \(node.inWords)", hint: hint)
    }

    /// Reads a mapping into `owner`: each key through its field, everything else reported.
    mutating func section<Owner>(
        _ node: RecipeNode, _ key: String, _ fields: [RecipeField<Owner>], into owner: inout Owner
    ) {
        let path = key.isEmpty ? "" : key + "."
        var given: [RecipeNode.Entry] = []
        switch node.content {
        case .mapping(let entries): given = unique(entries, path)
        case .scalar where node.isNull: break
        default:
            let names = fields.map(\.name)
            let example = key.isEmpty ? nil : fields.first.map { "did you mean \(path)\($0.name)?" }
            return refuse(node, key, expected: "a section with the keys \(names.inWords("and"))", hint: example)
        }
        settleAlternatives(&given, fields, path)
        for field in fields {
            if let entry = given.first(where: { $0.key == field.name }) {
                places[path + field.name] = entry.value.place
                field.read(entry.value, path + field.name, &owner, &self)
            } else if field.isSection {
                field.read(RecipeNode(content: .missing, place: node.place), path + field.name, &owner, &self)
            } else if field.isRequired {
                report(node.place, path + field.name, Self.missing, hint: "a recipe cannot do without it")
            }
        }
        let names = fields.map(\.name)
        for entry in given where !names.contains(entry.key) { unknown(entry, in: key, siblings: names) }
    }

    /// The entries without those whose key stands there already, which are reported.
    private mutating func unique(_ entries: [RecipeNode.Entry], _ path: String) -> [RecipeNode.Entry] {
        var first: [String: RecipePlace] = [:]
        return entries.filter { entry in
            guard let earlier = first[entry.key] else {
                first[entry.key] = entry.place
                return true
            }
            report(entry.place, path + entry.key, "is given twice", hint: "its first place is \(earlier.inWords)")
            return false
        }
    }

    /// Of two keys that exclude each other, null counts as not given and the command line wins over the file.
    private mutating func settleAlternatives<Owner>(
        _ given: inout [RecipeNode.Entry], _ fields: [RecipeField<Owner>], _ path: String
    ) {
        let alternatives = Dictionary(
            fields.compactMap { field in field.alternative.map { (field.name, $0) } }, uniquingKeysWith: { a, _ in a })
        given.removeAll { alternatives[$0.key] != nil && $0.value.isNull }
        for entry in given {
            guard let name = alternatives[entry.key], let other = given.first(where: { $0.key == name }) else {
                continue
            }
            let isOverride = entry.value.place == .commandLine
            if isOverride != (other.value.place == .commandLine) {
                given.removeAll { $0.key == (isOverride ? name : entry.key) }
            } else {
                report(entry.place, path + entry.key, "excludes \(path)\(name)", hint: "keep one of the two")
                given.removeAll { $0.key == entry.key || $0.key == name }
            }
        }
    }

    /// Reports a key that its section does not have. What another tool nests (`lora_parameters: {rank: 8}`) is named
    /// key by key.
    private mutating func unknown(_ entry: RecipeNode.Entry, in section: String, siblings: [String]) {
        let path = section.isEmpty ? entry.key : "\(section).\(entry.key)"
        if case .mapping(let children) = entry.value.content {
            let keys = children.map { ($0, UnknownKey(path: "\(path).\($0.key)", isOn: $0.value.truth)) }
            if keys.contains(where: { $0.1.recognised != nil }) {
                for (child, key) in keys {
                    report(child.place, key.path, "unknown key", hint: key.recognised ?? "a recipe has nothing like it")
                }
                return
            }
        }
        let unknown = UnknownKey(path: path, isOn: entry.value.truth)
        if let ours = unknown.ours { renamed.insert(ours) }
        report(entry.place, path, "unknown key", hint: unknown.hint(siblings: siblings))
    }
}

extension RecipeNode {
    /// Whether it is true or false, if it is one of the two.
    fileprivate var truth: Bool? { if case .bool(let value) = scalar { value } else { nil } }
}
