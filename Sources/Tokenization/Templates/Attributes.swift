/// Attributes, items and slices.
extension Evaluator {
    /// `value.name`: methods come before keys.
    func attribute(_ name: String, of value: TemplateValue) throws(TemplateFailure) -> TemplateValue {
        if case .undefined(let box) = value { throw box.failure }
        if let own = try ownAttribute(name, of: value) { return own }
        if case .dict(let box) = value, let found = box[name] { return found }
        return .undefined(.attribute(name, of: value.typeName))
    }

    /// `value[key]`: keys come before methods.
    func item(_ key: TemplateValue, of value: TemplateValue) throws(TemplateFailure) -> TemplateValue {
        switch value {
        case .undefined(let box): throw box.failure
        case .dict(let box):
            try spend(key.extent.weight)
            if let found = box[key] { return found }
        case .list(let box), .tuple(let box):
            if let at = position(key, count: box.items.count) { return box.items[at] }
        case .range(let range):
            if let at = position(key, count: range.count) { return .integer(range[at]) }
        case .string(let text), .markup(let text):
            let scalars = text.unicodeScalars
            if case .integer? = Numeric(key) { try charge(bytes: text.utf8.count) }
            if let at = position(key, count: scalars.count) {
                return .string(String(scalars[scalars.index(scalars.startIndex, offsetBy: at)]))
            }
        default: break
        }
        if let name = key.text, let own = try ownAttribute(name, of: value) { return own }
        try spend(key.extent.weight)
        return .undefined(.element(try key.repr, of: value.typeName))
    }

    private func position(_ key: TemplateValue, count: Int) -> Int? {
        let index: Int
        switch key {
        case .integer(let value): index = value
        case .bool(let flag): index = flag ? 1 : 0
        default: return nil
        }
        let at = index < 0 ? index + count : index
        return (0..<count).contains(at) ? at : nil
    }

    /// What the value has in Python apart from its keys; methods that change it count as absent, as in the sandbox.
    private func ownAttribute(_ name: String, of value: TemplateValue) throws(TemplateFailure) -> TemplateValue? {
        switch value {
        case .string, .markup:
            guard StringMethod(rawValue: name) != nil else { return nil }
        case .dict:
            if DictMethod.forbidden.contains(name) { return .undefined(.unsafe(name, of: value.typeName)) }
            guard DictMethod(rawValue: name) != nil else { return nil }
        case .list, .tuple:
            if case .list = value, ListMethod.forbidden.contains(name) {
                return .undefined(.unsafe(name, of: value.typeName))
            }
            if case .tuple(let box) = value, let at = box.names.firstIndex(of: name) { return box.items[at] }
            guard ListMethod(rawValue: name) != nil else { return nil }
        case .number:
            guard name == "is_integer" else { return nil }
        case .namespace(let box):
            try spend(box.attributes.count >> 3)
            return box[name]
        case .loop(let box): return try box.attribute(name)
        case .cycler(let box):
            if name == "current" { return box.items.items[box.position] }
            guard name == "next" || name == "reset" else { return nil }
        case .range(let range): return range.attribute(name)
        case .callable(let box): return box.attribute(name)
        default: return nil
        }
        return .callable(try CallableBox(.method(name, of: value)))
    }

    @inline(never)
    func slice(
        _ base: TemplateExpression, _ start: TemplateExpression?, _ stop: TemplateExpression?,
        _ step: TemplateExpression?, in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        let value = try evaluate(base, in: scope)
        let slice = try PythonSlice(
            start: bound(start, in: scope), stop: bound(stop, in: scope), step: bound(step, in: scope))
        switch value {
        case .undefined(let box): throw box.failure
        case .list(let box):
            try spend(box.items.count)
            return try .list(slice.indices(count: box.items.count).map { box.items[$0] })
        case .tuple(let box):
            try spend(box.items.count)
            return try .tuple(slice.indices(count: box.items.count).map { box.items[$0] })
        case .string(let text): return try charged(.string(slice.applied(to: text)))
        case .markup(let text): return try charged(.markup(slice.applied(to: text)))
        case .range(let range):
            try spend(range.count >> 3)
            return .range(try range.sliced(slice))
        default: throw .evaluation("a value of type \(value.typeName) cannot be sliced")
        }
    }

    private func bound(_ expression: TemplateExpression?, in scope: TemplateScope) throws(TemplateFailure) -> Int? {
        guard let expression else { return nil }
        let value = try evaluate(expression, in: scope)
        if case .none = value { return nil }
        guard case .integer(let bound)? = Numeric(value) else {
            throw .evaluation("a slice needs integers, not a value of type \(value.typeName)")
        }
        return bound
    }
}

extension PythonRange {
    fileprivate func sliced(_ slice: PythonSlice) throws(TemplateFailure) -> PythonRange {
        let (first, last) = slice.bounds(count: count)
        let taken = slice.indices(count: count).count
        let (step, overflow) = step.multipliedReportingOverflow(by: slice.step)
        guard !overflow, let start = bound(first), let stop = bound(last) else {
            throw .limit("the slice of a range exceeds 64 bits")
        }
        return PythonRange(start: start, stop: stop, count: taken, step: step)
    }

    /// The number at a position that may lie one before or behind the range.
    private func bound(_ position: Int) -> Int? {
        let (way, tooFar) = position.multipliedReportingOverflow(by: step)
        let (number, overflow) = start.addingReportingOverflow(way)
        return tooFar || overflow ? nil : number
    }

    fileprivate func attribute(_ name: String) -> TemplateValue? {
        switch name {
        case "start": .integer(start)
        case "stop": .integer(stop)
        case "step": .integer(step)
        default: nil
        }
    }
}

extension CallableBox {
    /// Macros tell their name and what they accept.
    fileprivate func attribute(_ name: String) -> TemplateValue? {
        guard case .macro(let definition, _) = kind else { return nil }
        switch name {
        case "name": return .string(definition.name)
        case "arguments": return try? .tuple(definition.parameters.map { .string($0.name) })
        case "caller": return .bool(definition.implicitNames.contains("caller"))
        case "catch_varargs": return .bool(definition.implicitNames.contains("varargs"))
        case "catch_kwargs": return .bool(definition.implicitNames.contains("kwargs"))
        default: return nil
        }
    }
}

/// `[start:stop:step]`
struct PythonSlice {
    let start: Int?
    let stop: Int?
    let step: Int

    init(start: Int?, stop: Int?, step: Int?) throws(TemplateFailure) {
        guard step != 0 else { throw .evaluation("the step of a slice is zero") }
        (self.start, self.stop, self.step) = (start, stop, step ?? 1)
    }

    /// The first position of a sequence of `count` items, and the one behind the last.
    func bounds(count: Int) -> (first: Int, last: Int) {
        func clamped(_ bound: Int, _ range: ClosedRange<Int>) -> Int {
            let at = bound < 0 ? max(bound, -count - 1) + count : bound
            return min(max(at, range.lowerBound), range.upperBound)
        }
        let range = step > 0 ? 0...count : -1...count - 1
        let ends = step > 0 ? (0, count) : (count - 1, -1)
        return (start.map { clamped($0, range) } ?? ends.0, stop.map { clamped($0, range) } ?? ends.1)
    }

    /// The positions that the slice takes from a sequence of `count` items.
    func indices(count: Int) -> [Int] {
        let (first, last) = bounds(count: count)
        return Array(stride(from: first, to: last, by: step))
    }

    func applied(to text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        return String(indices(count: scalars.count).map { scalars[$0] })
    }
}
