/// A piece of YAML that remembers where it was written: the form in which a recipe is checked, overridden and written.
struct RecipeNode: Sendable, Equatable {
    enum Content: Sendable, Equatable {
        /// Text; only a plain one (unquoted) may be a number, a truth value or null.
        case scalar(String, isPlain: Bool)
        case list([RecipeNode])
        case mapping([Entry])

        /// What an empty value and a section that is not there have in common.
        static let missing = Content.scalar("", isPlain: true)
    }

    /// A key with its value; a mapping may hold the same key twice until it is read.
    struct Entry: Sendable, Equatable {
        var key: String
        var place: RecipePlace
        var value: RecipeNode
    }

    var content: Content
    var place: RecipePlace
}

/// What a scalar means, by the core rules of YAML 1.2, with `1e-5` and `1_000` as numbers.
enum RecipeScalar: Equatable {
    case null
    case bool(Bool)
    /// A whole number; `nil` when it is too large for this machine.
    case integer(Int?)
    case number(Double)
    case text(String)

    init(_ text: String, isPlain: Bool) {
        self = isPlain ? Self.plain(text) : .text(text)
    }

    private static func plain(_ text: String) -> RecipeScalar {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        case ".nan", ".NaN", ".NAN": return .number(.nan)
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .number(.infinity)
        case "-.inf", "-.Inf", "-.INF": return .number(-.infinity)
        default: break
        }
        let digits = text.filter { $0 != "_" }
        if text.wholeMatch(of: /[-+]?[0-9]+(_[0-9]+)*/) != nil { return .integer(Int(digits)) }
        let fraction = /[-+]?([0-9]+(_[0-9]+)*(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?/
        if text.wholeMatch(of: fraction) != nil, let value = Double(digits) { return .number(value) }
        return .text(text)
    }
}

extension RecipeNode {
    /// What this node means when it is a scalar.
    var scalar: RecipeScalar? {
        guard case .scalar(let text, let isPlain) = content else { return nil }
        return RecipeScalar(text, isPlain: isPlain)
    }

    var isNull: Bool { scalar == .null }

    /// What was found, for messages: `the text "abc"`, `1.5`, `a list`.
    var inWords: String {
        switch content {
        case .list(let items): return items.isEmpty ? "an empty list" : "a list of \(items.count)"
        case .mapping: return "a mapping"
        case .scalar(let text, let isPlain):
            switch RecipeScalar(text, isPlain: isPlain) {
            case .null: return "no value"
            case .text: return "the text \(quoted(text))"
            case .bool, .integer, .number: return text.count > 40 ? text.prefix(40) + "…" : text
            }
        }
    }
}

/// Text in quotes for a message, on one line and not endless.
func quoted(_ text: String) -> String {
    let short = text.count > 60 ? text.prefix(60) + "…" : text[...]
    let visible = short.unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : String($0) }
    return "\"\(visible.joined())\""
}
