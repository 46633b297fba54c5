/// Methods of dicts, lists and the other kinds; those of strings are in `MethodsString.swift`.
enum DictMethod: String {
    case get, items, keys, values, copy

    /// Methods that would change the dict.
    static let forbidden: Set<String> = ["clear", "pop", "popitem", "setdefault", "update"]
}

enum ListMethod: String {
    case count, index, copy

    /// Methods that would change the list.
    static let forbidden: Set<String> = [
        "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort",
    ]
}

extension Evaluator {
    func callMethod(
        _ name: String, of receiver: TemplateValue, _ arguments: CallValues
    ) throws(TemplateFailure) -> TemplateValue {
        switch receiver {
        case .string(let text), .markup(let text):
            guard let method = StringMethod(rawValue: name) else { break }
            let result = try stringMethod(method, text, arguments)
            if case .markup = receiver, case .string(let text) = result { return .markup(text) }
            return result
        case .dict(let box):
            if let method = DictMethod(rawValue: name) { return try dictMethod(method, box, arguments) }
        case .list(let box), .tuple(let box):
            if let method = ListMethod(rawValue: name) { return try listMethod(method, receiver, box, arguments) }
        case .number(let value):
            return .bool(value.isFinite && value == value.rounded())
        case .loop(let box): return try loopMethod(name, box, arguments)
        case .cycler(let box): return cyclerMethod(name, box)
        default: break
        }
        throw .evaluation("a value of type \(receiver.typeName) has no method \(name)")
    }

    private func dictMethod(
        _ method: DictMethod, _ box: DictBox, _ arguments: CallValues
    ) throws(TemplateFailure) -> TemplateValue {
        if method == .get {
            guard arguments.named.isEmpty, 1...2 ~= arguments.positional.count else {
                throw .evaluation("get takes a key and perhaps a default")
            }
            try requireKey(arguments.positional[0])
            return box[arguments.positional[0]] ?? (arguments.positional.count == 2 ? arguments.positional[1] : .none)
        }
        _ = try arguments.bound(to: [], of: method.rawValue)
        return switch method {
        case .items: .view(DictView(part: .items, dict: box))
        case .keys: .view(DictView(part: .keys, dict: box))
        case .values: .view(DictView(part: .values, dict: box))
        case .copy, .get: .dict(box)
        }
    }

    private func listMethod(
        _ method: ListMethod, _ receiver: TemplateValue, _ box: ListBox, _ arguments: CallValues
    ) throws(TemplateFailure) -> TemplateValue {
        try spend(box.extent.weight)
        if method == .copy { return receiver }
        guard let item = arguments.positional.first, arguments.named.isEmpty else {
            throw .evaluation("\(method.rawValue) needs an item to look for")
        }
        if method == .count { return .integer(box.items.count { $0.equals(item) }) }
        guard let at = box.items.firstIndex(where: { $0.equals(item) }) else {
            throw .evaluation("the item that index looks for is not in the list")
        }
        return .integer(at)
    }

    private func loopMethod(
        _ name: String, _ box: LoopBox, _ arguments: CallValues
    ) throws(TemplateFailure) -> TemplateValue {
        guard arguments.named.isEmpty else { throw .evaluation("\(name) takes no named arguments") }
        let values = arguments.positional
        if name == "cycle" {
            guard !values.isEmpty, box.index0 >= 0 else { throw .evaluation("cycle needs at least one value") }
            return values[box.index0 % values.count]
        }
        try spend(values.reduce(0) { $0 + $1.extent.weight })
        let isSame = box.lastChanged.map { last in
            last.count == values.count && zip(last, values).allSatisfy { $0.equals($1) }
        }
        if isSame == true { return .bool(false) }
        box.lastChanged = values
        return .bool(true)
    }

    private func cyclerMethod(_ name: String, _ box: CyclerBox) -> TemplateValue {
        guard name == "next" else {
            box.position = 0
            return .none
        }
        defer { box.position = (box.position + 1) % box.items.items.count }
        return box.items.items[box.position]
    }
}
