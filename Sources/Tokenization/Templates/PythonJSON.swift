/// Writes template values as Python's `json.dumps` does; this is the filter `tojson`.
///
/// It differs from `JSONValue.serialized` in what it takes (tuples, keys that are no strings) and in the layouts that
/// a template may ask for.
struct PythonJSONWriter {
    /// One level of indentation; `nil` for everything on one line.
    var indentation: String?
    var itemSeparator: String
    var keySeparator: String
    var escapesNonASCII = false
    var sortsKeys = false
    private(set) var output: [UInt8] = []
    private var depth = 0

    init(indentation: String?, itemSeparator: String?, keySeparator: String?) {
        self.indentation = indentation
        self.itemSeparator = itemSeparator ?? (indentation == nil ? ", " : ",")
        self.keySeparator = keySeparator ?? ": "
    }

    mutating func write(_ value: TemplateValue) throws(TemplateFailure) {
        guard output.count <= TemplateLimits().stringBytes else { throw .limit("tojson makes too long a text") }
        switch value {
        case .none: put("null")
        case .bool(let flag): put(flag ? "true" : "false")
        case .integer(let integer): put(String(integer))
        case .number(let number): put(number.pythonDescription)
        case .string(let text), .markup(let text): write(text)
        case .list(let box), .tuple(let box): try write(box.items)
        case .dict(let box): try write(box.entries)
        default: throw .evaluation("a value of type \(value.typeName) cannot be written as JSON")
        }
    }

    private mutating func write(_ items: [TemplateValue]) throws(TemplateFailure) {
        guard !items.isEmpty else { return put("[]") }
        open("[")
        for (at, item) in items.enumerated() {
            if at > 0 { separate() }
            try write(item)
        }
        close("]")
    }

    private mutating func write(_ entries: [DictBox.Entry]) throws(TemplateFailure) {
        guard !entries.isEmpty else { return put("{}") }
        open("{")
        let ordered =
            sortsKeys
            ? try entries.sortedStably { (a, b) throws(TemplateFailure) in try Comparison.less.holds(a.key, b.key) }
            : entries
        for (at, entry) in ordered.enumerated() {
            if at > 0 { separate() }
            write(try key(entry.key))
            put(keySeparator)
            try write(entry.value)
        }
        close("}")
    }

    private func key(_ value: TemplateValue) throws(TemplateFailure) -> String {
        switch value {
        case .string(let text), .markup(let text): return text
        case .none: return "null"
        case .bool(let flag): return flag ? "true" : "false"
        case .integer(let integer): return String(integer)
        case .number(let number): return number.pythonDescription
        default: throw .evaluation("a value of type \(value.typeName) cannot be a key in JSON")
        }
    }

    private mutating func put(_ text: String) { output.append(contentsOf: text.utf8) }

    private mutating func open(_ bracket: String) {
        put(bracket)
        depth += 1
        newLine()
    }

    private mutating func separate() {
        put(itemSeparator)
        newLine()
    }

    private mutating func close(_ bracket: String) {
        depth -= 1
        newLine()
        put(bracket)
    }

    private mutating func newLine() {
        guard let indentation else { return }
        put("\n")
        for _ in 0..<depth { put(indentation) }
    }

    private mutating func write(_ text: String) {
        put("\"")
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": put("\\\"")
            case "\\": put("\\\\")
            case "\n": put("\\n")
            case "\r": put("\\r")
            case "\t": put("\\t")
            case "\u{8}": put("\\b")
            case "\u{c}": put("\\f")
            case _ where scalar.value < 0x20 || (escapesNonASCII && scalar.value > 0x7E):
                for unit in UTF16.encode(scalar) ?? .init() { put(Self.escape(unit)) }
            default: output.append(contentsOf: UTF8.encode(scalar) ?? .init())
            }
        }
        put("\"")
    }

    private static func escape(_ unit: UInt16) -> String {
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
    }
}
