/// Why there is no value.
final class UndefinedBox {
    enum Reason {
        case name(String)
        case attribute(String, of: String)
        case element(String, of: String)
        case unsafe(String, of: String)
        case other(String)
    }

    let reason: Reason

    init(_ reason: Reason) { self.reason = reason }

    var failure: TemplateFailure {
        switch reason {
        case .name(let name): .undefined("\(name) is undefined")
        case .attribute(let name, let type): .undefined("a value of type \(type) has no attribute \(name)")
        case .element(let key, let type): .undefined("a value of type \(type) has no element \(key)")
        case .unsafe(let name, let type): .undefined("the attribute \(name) of a \(type) may not be used by a template")
        case .other(let reason): .undefined(reason)
        }
    }
}

/// The items of a list or tuple.
final class ListBox {
    let items: [TemplateValue]
    /// Names of the items of a named tuple, as `groupby` makes them.
    let names: [String]
    let extent: ValueExtent

    init(_ items: [TemplateValue], names: [String] = []) throws(TemplateFailure) {
        self.items = items
        self.names = names
        extent = try ValueExtent(over: items.lazy.map(\.extent))
    }
}

/// How large a value is if it is walked: how deep, and how many items in all. Both are bounded when the value is made,
/// so that printing, comparing and freeing it can neither overflow the stack nor take forever.
struct ValueExtent {
    var depth = 0
    var weight = 1

    static let single = ValueExtent()

    /// A text counts by its length too: the same text may stand in a list a million times.
    static func text(_ text: String) -> ValueExtent { ValueExtent(weight: 1 + text.utf8.count >> 6) }
}

extension ValueExtent {
    /// The extent of a value that holds others.
    init(over parts: some Sequence<ValueExtent>) throws(TemplateFailure) {
        var (depth, weight) = (0, 1)
        for part in parts {
            depth = max(depth, part.depth)
            weight += part.weight
        }
        guard depth < TemplateLimits.valueDepth else {
            throw .limit("values are nested more than \(TemplateLimits.valueDepth) deep")
        }
        guard weight <= TemplateLimits.valueWeight else {
            throw .limit("a value holds more than \(TemplateLimits.valueWeight) items")
        }
        self.init(depth: depth + 1, weight: weight)
    }
}

/// The entries of a dict in their order.
final class DictBox {
    typealias Entry = (key: TemplateValue, value: TemplateValue)

    private(set) var entries: [Entry] = []
    let extent: ValueExtent
    private var index: [DictKey: Int] = [:]
    private static let searchLimit = 8

    /// Makes a dict of entries; a later value replaces an earlier one of the same key.
    init(_ list: [Entry]) throws(TemplateFailure) {
        extent = try ValueExtent(over: list.lazy.flatMap { [$0.key.extent, $0.value.extent] })
        for entry in list {
            let key = try DictKey.required(entry.key)
            if let at = index[key] {
                entries[at].value = entry.value
            } else {
                index[key] = entries.count
                entries.append(entry)
            }
        }
    }

    /// Makes a dict of entries whose keys are known to be different strings; small ones need no index.
    init(unique entries: [Entry]) throws(TemplateFailure) {
        extent = try ValueExtent(over: entries.lazy.flatMap { [$0.key.extent, $0.value.extent] })
        self.entries = entries
        guard entries.count > Self.searchLimit else { return }
        for (at, entry) in entries.enumerated() {
            if let key = DictKey(entry.key) { index[key] = at }
        }
    }

    /// The value of a string key.
    subscript(key: String) -> TemplateValue? {
        if index.isEmpty {
            return entries.first { entry in
                if let text = entry.key.text { text.utf8.elementsEqual(key.utf8) } else { false }
            }?.value
        }
        return index[.string(ExactString(key))].map { entries[$0].value }
    }

    /// The value of any key; `nil` also for values that cannot be keys.
    subscript(key: TemplateValue) -> TemplateValue? {
        if let text = key.text { return self[text] }
        guard let key = DictKey(key) else { return nil }
        if index.isEmpty { return entries.first { DictKey($0.key) == key }?.value }
        return index[key].map { entries[$0].value }
    }
}

/// A value as the key of a dict: equal values make equal keys, whatever their kind (`1`, `1.0` and `True`).
enum DictKey: Hashable {
    case none
    case integer(Int)
    case number(Double)
    case string(ExactString)
    case tuple([DictKey])
    case object(ObjectIdentifier)

    /// `nil` for lists and dicts, which cannot be keys.
    init?(_ value: TemplateValue) {
        switch value {
        case .none: self = .none
        case .bool(let value): self = .integer(value ? 1 : 0)
        case .integer(let value): self = .integer(value)
        case .number(let value): self = Int(exactly: value).map(DictKey.integer) ?? .number(value)
        case .string(let text), .markup(let text): self = .string(ExactString(text))
        case .tuple(let box):
            var keys: [DictKey] = []
            for item in box.items {
                guard let key = DictKey(item) else { return nil }
                keys.append(key)
            }
            self = .tuple(keys)
        case .undefined: self = .object(ObjectIdentifier(UndefinedBox.self))
        case .range(let range): self = .tuple([.integer(range.start), .integer(range.count), .integer(range.step)])
        case .iterator(let box): self = .object(ObjectIdentifier(box))
        case .namespace(let box): self = .object(ObjectIdentifier(box))
        case .loop(let box): self = .object(ObjectIdentifier(box))
        case .cycler(let box): self = .object(ObjectIdentifier(box))
        case .callable(let box): self = .object(ObjectIdentifier(box))
        case .list, .dict, .view: return nil
        }
    }

    static func required(_ value: TemplateValue) throws(TemplateFailure) -> DictKey {
        guard let key = DictKey(value) else {
            throw .evaluation("a \(value.typeName) cannot be the key of a dict")
        }
        return key
    }
}

/// What `keys()`, `values()` and `items()` return.
struct DictView {
    enum Part: String { case keys, values, items }

    let part: Part
    let dict: DictBox
}

/// What `range()` returns.
struct PythonRange {
    let start: Int
    let stop: Int
    let count: Int
    let step: Int

    subscript(position: Int) -> Int { start + position * step }
}

/// The one kind of value that a template can change.
final class NamespaceBox {
    var attributes: [(name: String, value: TemplateValue)] = []

    subscript(name: String) -> TemplateValue? {
        get { attributes.first { $0.name == name }?.value }
        set {
            guard let newValue else { return }
            if let at = attributes.firstIndex(where: { $0.name == name }) {
                attributes[at].value = newValue
            } else {
                attributes.append((name, newValue))
            }
        }
    }
}

/// What `cycler()` returns.
final class CyclerBox {
    let items: ListBox
    var position = 0

    init(_ items: ListBox) { self.items = items }
}

/// Something that can be called.
final class CallableBox {
    enum Kind {
        case function(TemplateFunction)
        case method(String, of: TemplateValue)
        case macro(MacroDefinition, TemplateScope)
        case joiner(separator: String)
    }

    let kind: Kind
    let extent: ValueExtent
    /// Whether a joiner has been called before.
    var wasCalled = false

    init(_ kind: Kind) throws(TemplateFailure) {
        self.kind = kind
        if case .method(_, let receiver) = kind {
            extent = try ValueExtent(over: CollectionOfOne(receiver.extent))
        } else {
            extent = .single
        }
    }
}

/// Variables of a block, and the block around it.
final class TemplateScope {
    var variables: [String: TemplateValue] = [:]
    let parent: TemplateScope?

    init(parent: TemplateScope?) { self.parent = parent }

    func lookup(_ name: String) -> TemplateValue? {
        var scope: TemplateScope? = self
        while let here = scope {
            if let value = here.variables[name] { return value }
            scope = here.parent
        }
        return nil
    }
}
