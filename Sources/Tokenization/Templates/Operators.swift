/// Arithmetic, comparison and membership with Python's rules.
extension Evaluator {
    func arithmetic(
        _ sign: ArithmeticOperator, _ left: TemplateValue, _ right: TemplateValue
    ) throws(TemplateFailure) -> TemplateValue {
        for case .undefined(let box) in [left, right] where !(sign == .modulo && left.text != nil) { throw box.failure }
        if let a = Numeric(left), let b = Numeric(right) { return try Numeric.apply(sign, a, b) }
        switch (sign, left, right) {
        case (.add, .list(let a), .list(let b)):
            try spend(a.items.count + b.items.count)
            return try .list(a.items + b.items)
        case (.add, .tuple(let a), .tuple(let b)):
            try spend(a.items.count + b.items.count)
            return try .tuple(a.items + b.items)
        case (.add, _, _):
            if let a = left.text, let b = right.text { return try add(left, a, right, b) }
        case (.multiply, _, _):
            if let result = try repeated(left, right) { return result }
            if let result = try repeated(right, left) { return result }
        case (.modulo, _, _):
            if let format = left.text { return try percentFormatted(format, right) }
        default: break
        }
        throw .evaluation("\(sign.rawValue) cannot be applied to \(left.typeName) and \(right.typeName)")
    }

    private func add(
        _ left: TemplateValue, _ a: String, _ right: TemplateValue, _ b: String
    ) throws(TemplateFailure) -> TemplateValue {
        switch (left, right) {
        case (.string, .string): try charged(.string(a + b))
        case (.markup, .string): try charged(.markup(a + b.htmlEscaped))
        case (.string, .markup): try charged(.markup(a.htmlEscaped + b))
        default: try charged(.markup(a + b))
        }
    }

    private func repeated(_ value: TemplateValue, _ times: TemplateValue) throws(TemplateFailure) -> TemplateValue? {
        guard case .integer(let times)? = Numeric(times),
            value.text != nil || value.typeName == "list" || value.typeName == "tuple"
        else { return nil }
        let count = max(times, 0)
        switch value {
        case .string(let text), .markup(let text):
            let (bytes, overflow) = text.utf8.count.multipliedReportingOverflow(by: count)
            try charge(bytes: overflow ? Int.max : bytes)
            let result = text.isEmpty ? "" : String(repeating: text, count: count)
            if case .markup = value { return .markup(result) }
            return .string(result)
        case .list(let box), .tuple(let box):
            let (total, overflow) = box.items.count.multipliedReportingOverflow(by: count)
            try spend(overflow ? Int.max : total)
            var items: [TemplateValue] = []
            if !box.items.isEmpty { for _ in 0..<count { items += box.items } }
            if case .list = value { return try .list(items) }
            return try .tuple(items)
        default: return nil
        }
    }

    func compare(
        _ comparison: Comparison, _ left: TemplateValue, _ right: TemplateValue
    ) throws(TemplateFailure) -> Bool {
        switch comparison {
        case .isIn: return try contains(right, left)
        case .isNotIn: return try !contains(right, left)
        default:
            return try ordered(comparison, left, right)
        }
    }

    /// A comparison that is paid for.
    func ordered(
        _ comparison: Comparison, _ left: TemplateValue, _ right: TemplateValue
    ) throws(TemplateFailure) -> Bool {
        try spend(min(left.extent.weight, right.extent.weight))
        return try comparison.holds(left, right)
    }

    /// `item in container`.
    func contains(_ container: TemplateValue, _ item: TemplateValue) throws(TemplateFailure) -> Bool {
        switch container {
        case .undefined: return false
        case .string(let text), .markup(let text):
            guard let part = item.text else {
                throw .evaluation("only a string can be searched for in a string, not a value of type \(item.typeName)")
            }
            try charge(bytes: text.utf8.count)
            return part.isEmpty || !text.occurrences(of: part, limit: 1).isEmpty
        case .dict(let box):
            try requireKey(item)
            return box[item] != nil
        case .view(let view) where view.part == .keys:
            try requireKey(item)
            return view.dict[item] != nil
        case .iterator(let box):
            while let candidate = try box.next() {
                if try ordered(.equal, candidate, item) { return true }
            }
            return false
        default:
            try spend((container.length ?? 0) >> 3)
            guard let items = try container.knownItems else {
                throw .evaluation("a value of type \(container.typeName) cannot be searched with in")
            }
            for candidate in items where try ordered(.equal, candidate, item) { return true }
            return false
        }
    }

    /// Makes sure that a value can be the key of a dict, and pays for looking it up.
    func requireKey(_ value: TemplateValue) throws(TemplateFailure) {
        try spend(value.extent.weight)
        _ = try DictKey.required(value)
    }
}

extension TemplateValue {
    /// Python's `==`.
    func equals(_ other: TemplateValue) -> Bool {
        if let a = Numeric(self), let b = Numeric(other) { return a == b }
        switch (self, other) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            guard a !== b else { return true }
            guard a.items.count == b.items.count else { return false }
            return zip(a.items, b.items).allSatisfy { $0.equals($1) }
        case (.dict(let a), .dict(let b)):
            guard a !== b else { return true }
            guard a.entries.count == b.entries.count else { return false }
            return a.entries.allSatisfy { entry in b[entry.key].map { $0.equals(entry.value) } ?? false }
        case (.range(let a), .range(let b)):
            return a.count == b.count && (a.count == 0 || a.start == b.start) && (a.count < 2 || a.step == b.step)
        default:
            if let a = text, let b = other.text { return a.isExactly(b) }
            return isSame(as: other)
        }
    }

    /// Python's `is`, as far as it can be told: small integers and equal strings count as one object.
    func isSame(as other: TemplateValue) -> Bool {
        switch (self, other) {
        case (.none, .none): true
        case (.bool(let a), .bool(let b)): a == b
        case (.integer(let a), .integer(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): a.isExactly(b)
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)): a === b
        case (.dict(let a), .dict(let b)): a === b
        case (.undefined(let a), .undefined(let b)): a === b
        case (.iterator(let a), .iterator(let b)): a === b
        case (.namespace(let a), .namespace(let b)): a === b
        case (.loop(let a), .loop(let b)): a === b
        case (.cycler(let a), .cycler(let b)): a === b
        case (.callable(let a), .callable(let b)): a === b
        default: false
        }
    }
}

extension Comparison {
    /// Whether the comparison holds; ordering values of different kinds is an error.
    func holds(_ left: TemplateValue, _ right: TemplateValue) throws(TemplateFailure) -> Bool {
        switch self {
        case .equal: return left.equals(right)
        case .notEqual: return !left.equals(right)
        default: break
        }
        for case .undefined(let box) in [left, right] { throw box.failure }
        if let a = Numeric(left), let b = Numeric(right) { return ordered(Numeric.order(a, b)) }
        if let a = left.text, let b = right.text {
            // UTF-8 bytes sort as code points do.
            if a.isExactly(b) { return ordered(.same) }
            return ordered(a.utf8.lexicographicallyPrecedes(b.utf8) ? .before : .after)
        }
        switch (left, right) {
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            for (x, y) in zip(a.items, b.items) where !x.equals(y) { return try holds(x, y) }
            return ordered(Numeric.order(.integer(a.items.count), .integer(b.items.count)))
        default:
            throw .evaluation("\(rawValue) cannot compare \(left.typeName) with \(right.typeName)")
        }
    }

    private func ordered(_ order: Numeric.Order) -> Bool {
        switch self {
        case .less: order == .before
        case .lessOrEqual: order == .before || order == .same
        case .greater: order == .after
        case .greaterOrEqual: order == .after || order == .same
        default: false
        }
    }
}

extension Array {
    /// A stable merge sort whose comparison may throw.
    func sortedStably(
        by precedes: (Element, Element) throws(TemplateFailure) -> Bool
    ) throws(TemplateFailure) -> [Element] {
        guard count > 1 else { return self }
        let left = try Array(self[..<(count / 2)]).sortedStably(by: precedes)
        let right = try Array(self[(count / 2)...]).sortedStably(by: precedes)
        var result: [Element] = []
        result.reserveCapacity(count)
        var (i, j) = (0, 0)
        while i < left.count, j < right.count {
            if try precedes(right[j], left[i]) {
                result.append(right[j])
                j += 1
            } else {
                result.append(left[i])
                i += 1
            }
        }
        return result + left[i...] + right[j...]
    }
}
