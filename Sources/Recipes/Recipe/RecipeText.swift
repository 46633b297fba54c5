import Yams

/// Turns YAML text into nodes with places, within bounds that no honest recipe comes near.
enum RecipeText {
    static let maximumBytes = 1 << 20
    static let maximumNodes = 10_000
    static let maximumDepth = 32
    // Aliases let a short text describe a huge or endlessly deep tree; these keep both the tree and the recursion that
    // frees it small.
    static let maximumAliases = 20
    static let maximumBytesWithAliases = 1 << 16

    /// The root of the only document in `text`. `place` gives each node its place from line and column; `whole` is the
    /// place of problems that have none.
    static func compose(
        _ text: String, whole: RecipePlace, place: @escaping (Int, Int) -> RecipePlace
    ) throws(RecipeError) -> RecipeNode {
        func refusal(_ message: String, hint: String? = nil, at found: RecipePlace? = nil) -> RecipeError {
            RecipeError([RecipeProblem(found ?? whole, key: "", message, hint: hint)])
        }
        let size = text.utf8.count
        if size > maximumBytes { throw refusal("has \(size) bytes; a recipe has at most \(maximumBytes)") }
        let aliases = aliasCount(text)
        if aliases > maximumAliases {
            throw refusal("has \(aliases) aliases (*name); a recipe has at most \(maximumAliases)")
        }
        if aliases > 0, size > maximumBytesWithAliases {
            throw refusal("has aliases and \(size) bytes; with aliases at most \(maximumBytesWithAliases)")
        }
        do {
            var reader = TreeReader(place: place)
            return try reader.tree(try DuplicateMarking.root(of: text), depth: 0)
        } catch let limit as TreeReader.Refusal {
            throw refusal(limit.message, at: limit.place)
        } catch let error as YamlError {
            let at = error.mark.map { place($0.0, $0.1) }
            if error.isAboutTab { throw refusal("a tab stands where only spaces may", hint: "indent with spaces", at: at) }
            throw refusal(error.inWords, hint: "the text must be valid YAML", at: at)
        } catch {
            throw refusal("cannot be read as YAML: \(error)")
        }
    }

    /// An upper bound on the aliases in `text`: what looks like `*name` where a value may start.
    private static func aliasCount(_ text: String) -> Int {
        var count = 0
        var before: UInt8 = 0
        var previous: UInt8 = 0x20
        for byte in text.utf8 {
            let isName = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A || byte >= 0x30 && byte <= 0x39
            let follows = isName || byte == 0x5F || byte == 0x2D
            if previous == 0x2A, follows, before <= 0x20 || before >= 0x80 || "[{,:]}?-\"'".utf8.contains(before) {
                count += 1
            }
            (before, previous) = (previous, byte)
        }
        return count
    }
}

/// Converts Yams' tree to ours, counting nodes and levels.
private struct TreeReader {
    struct Refusal: Error {
        let message: String
        let place: RecipePlace?
    }

    let place: (Int, Int) -> RecipePlace
    private var count = 0

    init(place: @escaping (Int, Int) -> RecipePlace) { self.place = place }

    private func place(of node: Node) -> RecipePlace {
        place(node.mark?.line ?? 1, node.mark?.column ?? 1)
    }

    mutating func tree(_ node: Node, depth: Int) throws -> RecipeNode {
        count += 1
        guard count <= RecipeText.maximumNodes else {
            throw Refusal(
                message: "has more than \(RecipeText.maximumNodes) values, aliases counted as often as they are used",
                place: nil)
        }
        guard depth <= RecipeText.maximumDepth else {
            throw Refusal(message: "nests more than \(RecipeText.maximumDepth) levels deep", place: place(of: node))
        }
        let here = place(of: node)
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain && scalar.tag.rawValue != Tag.Name.str.rawValue
            return RecipeNode(content: .scalar(scalar.string, isPlain: isPlain), place: here)
        case .sequence(let sequence):
            var items: [RecipeNode] = []
            for item in sequence { items.append(try tree(item, depth: depth + 1)) }
            return RecipeNode(content: .list(items), place: here)
        case .mapping(let mapping):
            var entries: [RecipeNode.Entry] = []
            for (key, value) in mapping { entries.append(try entry(key, value, depth: depth + 1)) }
            return RecipeNode(content: .mapping(entries), place: here)
        case .alias:
            throw Refusal(message: "has an alias without a target", place: here)
        }
    }

    private mutating func entry(_ key: Node, _ value: Node, depth: Int) throws -> RecipeNode.Entry {
        let here = place(of: key)
        guard case .scalar(let name) = key else {
            throw Refusal(message: "has a list or mapping as a key; keys are plain words", place: here)
        }
        return RecipeNode.Entry(
            key: DuplicateMarking.unmarked(name.string), place: here, value: try tree(value, depth: depth))
    }
}

extension YamlError {
    /// Line and column from 1, where the error has a place.
    fileprivate var mark: (Int, Int)? {
        switch self {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _):
            (mark.line, mark.column)
        case .duplicatedKeysInMapping(_, let context): (context.mark.line, context.mark.column)
        default: nil
        }
    }

    /// Whether the scanner stopped at a tab, or in a line that begins with one.
    fileprivate var isAboutTab: Bool {
        guard case .scanner(_, _, let mark, let yaml) = self else { return false }
        let lines = yaml.split(omittingEmptySubsequences: false) { $0.isNewline }
        guard lines.indices.contains(mark.line - 1) else { return false }
        let line = lines[mark.line - 1].unicodeScalars
        return line.prefix { $0 == " " || $0 == "\t" }.contains("\t") || line.dropFirst(mark.column - 1).first == "\t"
    }

    fileprivate var inWords: String {
        switch self {
        case .scanner(_, let problem, _, _) where problem.contains("nesting level"),
            .parser(_, let problem, _, _) where problem.contains("nesting level"):
            "nests more than \(RecipeText.maximumDepth) levels deep"
        case .scanner(let context, let problem, _, _), .parser(let context, let problem, _, _),
            .composer(let context, let problem, _, _):
            ([context?.text, problem].compactMap { $0 }).joined(separator: ": ")
        case .reader(let problem, _, _, _): problem
        case .duplicatedKeysInMapping(let keys, _):
            "a mapping has the key \(keys.map(quoted).joined(separator: ", ")) more than once"
        default: "cannot be read as YAML: \(self)"
        }
    }
}
