/// A value while a template is rendered, with Python's kinds and meanings.
///
/// Lists and dicts are boxes because identity matters (`sameas`, and which message a loop is at). Nothing in a template
/// can change them, as in Jinja's immutable sandbox; only namespaces change.
enum TemplateValue {
    case undefined(UndefinedBox)
    case none
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    /// A string that `escape` or `safe` made; adding a plain string to it escapes that string.
    case markup(String)
    case list(ListBox)
    case tuple(ListBox)
    case dict(DictBox)
    case view(DictView)
    case range(PythonRange)
    case iterator(IteratorBox)
    case namespace(NamespaceBox)
    case loop(LoopBox)
    case cycler(CyclerBox)
    case callable(CallableBox)

    /// The name of the kind in Python, for error messages.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "None"
        case .bool: "bool"
        case .integer: "int"
        case .number: "float"
        case .string, .markup: "str"
        case .list: "list"
        case .tuple: "tuple"
        case .dict: "dict"
        case .view(let view): "dict_\(view.part.rawValue)"
        case .range: "range"
        case .iterator: "generator"
        case .namespace: "namespace"
        case .loop: "loop"
        case .cycler: "cycler"
        case .callable: "function"
        }
    }

    /// The text of a string, marked safe or not.
    var text: String? {
        switch self {
        case .string(let text), .markup(let text): text
        default: nil
        }
    }

    /// How large the value is.
    var extent: ValueExtent {
        switch self {
        case .string(let text), .markup(let text): .text(text)
        case .list(let box), .tuple(let box): box.extent
        case .dict(let box): box.extent
        case .view(let view): view.dict.extent
        case .iterator(let box): box.extent
        case .loop(let box): box.iterator.extent
        case .cycler(let box): box.items.extent
        case .callable(let box): box.extent
        default: .single
        }
    }

    /// Python's truth: nothing, zero and empty are false, everything else is true.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let value): value
        case .integer(let value): value != 0
        case .number(let value): value != 0
        case .string(let text), .markup(let text): !text.isEmpty
        case .list(let box), .tuple(let box): !box.items.isEmpty
        case .dict(let box): !box.entries.isEmpty
        case .view(let view): !view.dict.entries.isEmpty
        case .range(let range): range.count > 0
        case .iterator, .namespace, .loop, .cycler, .callable: true
        }
    }

    static func list(_ items: [TemplateValue]) throws(TemplateFailure) -> TemplateValue { .list(try ListBox(items)) }
    static func tuple(_ items: [TemplateValue]) throws(TemplateFailure) -> TemplateValue { .tuple(try ListBox(items)) }

    /// An undefined value with the sentence that explains it if it is used.
    static func undefined(_ reason: UndefinedBox.Reason) -> TemplateValue { .undefined(UndefinedBox(reason)) }
}

extension TemplateValue {
    /// Turns plain data into template values.
    init(_ json: JSONValue) throws(TemplateFailure) {
        switch json {
        case .null: self = .none
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(value)
        case .number(let value): self = .number(value)
        case .string(let value): self = .string(value)
        case .array(let elements):
            var items: [TemplateValue] = []
            items.reserveCapacity(elements.count)
            for element in elements { items.append(try TemplateValue(element)) }
            self = try .list(items)
        case .object(let object):
            var entries: [DictBox.Entry] = []
            entries.reserveCapacity(object.members.count)
            for (key, value) in object.members { entries.append((.string(key), try TemplateValue(value))) }
            self = .dict(try DictBox(unique: entries))
        }
    }
}
