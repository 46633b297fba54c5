/// Values handed out one after the other, computed when they are asked for, each once (Python's iterators).
final class IteratorBox {
    typealias Pull = () throws(TemplateFailure) -> TemplateValue?

    let extent: ValueExtent
    private let pull: Pull

    /// - Parameter source: what the items are taken from.
    init(over source: ValueExtent, _ pull: @escaping Pull) throws(TemplateFailure) {
        extent = try ValueExtent(over: CollectionOfOne(source))
        self.pull = pull
    }

    func next() throws(TemplateFailure) -> TemplateValue? { try pull() }

    /// Everything that is left.
    func rest() throws(TemplateFailure) -> [TemplateValue] {
        var items: [TemplateValue] = []
        while let item = try pull() { items.append(item) }
        return items
    }
}

extension TemplateValue {
    /// The items if they are at hand without consuming anything; `nil` for iterators and for what cannot be iterated.
    var knownItems: [TemplateValue]? {
        get throws(TemplateFailure) {
            switch self {
            case .undefined: return []
            case .list(let box), .tuple(let box): return box.items
            case .dict(let box): return box.entries.map(\.key)
            case .string(let text), .markup(let text): return text.unicodeScalars.map { .string(String($0)) }
            case .range(let range): return (0..<range.count).map { .integer(range[$0]) }
            case .view(let view): return try view.items
            default: return nil
            }
        }
    }

    /// Every item of something iterable; an iterator is used up.
    var items: [TemplateValue] {
        get throws(TemplateFailure) {
            if let known = try knownItems { return known }
            guard case .iterator(let box) = self else { throw notIterable }
            return try box.rest()
        }
    }

    /// An iterator over something iterable.
    var iterator: IteratorBox {
        get throws(TemplateFailure) {
            if case .iterator(let box) = self { return box }
            guard let items = try knownItems else { throw notIterable }
            var position = 0
            return try IteratorBox(over: extent) {
                guard position < items.count else { return nil }
                position += 1
                return items[position - 1]
            }
        }
    }

    private var notIterable: TemplateFailure { .evaluation("a value of type \(typeName) cannot be iterated") }

    /// Python's `len`; `nil` for values without a length.
    var length: Int? {
        switch self {
        case .undefined: 0
        case .string(let text), .markup(let text): text.unicodeScalars.count
        case .list(let box), .tuple(let box): box.items.count
        case .dict(let box): box.entries.count
        case .view(let view): view.dict.entries.count
        case .range(let range): range.count
        default: nil
        }
    }
}

extension DictView {
    var items: [TemplateValue] {
        get throws(TemplateFailure) {
            switch part {
            case .keys: return dict.entries.map(\.key)
            case .values: return dict.entries.map(\.value)
            case .items:
                var pairs: [TemplateValue] = []
                pairs.reserveCapacity(dict.entries.count)
                for entry in dict.entries { pairs.append(try .tuple([entry.key, entry.value])) }
                return pairs
            }
        }
    }
}

/// The `loop` variable and the state behind it.
final class LoopBox {
    let iterator: IteratorBox
    let depth0: Int
    private(set) var index0 = -1
    private(set) var current: TemplateValue?
    private(set) var previous: TemplateValue?
    /// Items that were asked for before their turn, from `aheadStart`.
    private var ahead: [TemplateValue] = []
    private var aheadStart = 0
    private var knownLength: Int?
    /// What the last call of `loop.changed` was given.
    var lastChanged: [TemplateValue]?
    /// Renders the body over other items; only in loops marked `recursive`.
    var recursion: ((TemplateValue) throws(TemplateFailure) -> String)?

    init(_ iterator: IteratorBox, length: Int?, depth0: Int) {
        self.iterator = iterator
        knownLength = length
        self.depth0 = depth0
    }

    func advance() throws(TemplateFailure) -> TemplateValue? {
        guard let item = try peek() else { return nil }
        aheadStart += 1
        if aheadStart == ahead.count { (ahead, aheadStart) = ([], 0) }
        index0 += 1
        previous = current
        current = item
        return item
    }

    func peek() throws(TemplateFailure) -> TemplateValue? {
        if ahead.isEmpty, let item = try iterator.next() { ahead.append(item) }
        return ahead.isEmpty ? nil : ahead[aheadStart]
    }

    func length() throws(TemplateFailure) -> Int {
        if let knownLength { return knownLength }
        ahead += try iterator.rest()
        let length = index0 + 1 + ahead.count - aheadStart
        knownLength = length
        return length
    }

    /// The attribute of a loop; `nil` if loops have no such attribute.
    func attribute(_ name: String) throws(TemplateFailure) -> TemplateValue? {
        switch name {
        case "index": .integer(index0 + 1)
        case "index0": .integer(index0)
        case "first": .bool(index0 == 0)
        case "last": .bool(try peek() == nil)
        case "length": .integer(try length())
        case "revindex": .integer(try length() - index0)
        case "revindex0": .integer(try length() - index0 - 1)
        case "depth": .integer(depth0 + 1)
        case "depth0": .integer(depth0)
        case "previtem": previous ?? .undefined(.other("there is no item before the first of a loop"))
        case "nextitem": try peek() ?? .undefined(.other("there is no item after the last of a loop"))
        case "cycle", "changed": .callable(try CallableBox(.method(name, of: .loop(self))))
        default: nil
        }
    }
}
