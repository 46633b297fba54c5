/// `map`, `select` and their kin, which compute an item when it is asked for.
extension Evaluator {
    func lazyFilter(
        _ filter: TemplateFilter, _ value: TemplateValue, _ call: FilterArguments
    ) throws(TemplateFailure) -> TemplateValue? {
        try deferred(value) { [unowned self] () throws(TemplateFailure) in
            guard value.isTrue else { return nil }
            let source = try value.iterator
            return filter == .map ? try self.mapped(source, call) : try self.selected(filter, source, call)
        }
    }

    /// An iterator that does nothing at all, not even fail, before its first item is asked for.
    func deferred(
        _ value: TemplateValue, _ make: @escaping () throws(TemplateFailure) -> IteratorBox.Pull?
    ) throws(TemplateFailure) -> TemplateValue {
        var pull: IteratorBox.Pull?
        var isStarted = false
        return .iterator(
            try IteratorBox(over: value.extent) { () throws(TemplateFailure) in
                if !isStarted {
                    isStarted = true
                    pull = try make()
                }
                return try pull?()
            })
    }

    private func mapped(_ source: IteratorBox, _ call: FilterArguments) throws(TemplateFailure) -> IteratorBox.Pull {
        let transform = try transform(call)
        return { [unowned self] () throws(TemplateFailure) in
            guard let item = try source.next() else { return nil }
            return try self.nested { () throws(TemplateFailure) in try transform(item) }
        }
    }

    private func selected(
        _ filter: TemplateFilter, _ source: IteratorBox, _ call: FilterArguments
    ) throws(TemplateFailure) -> IteratorBox.Pull {
        let test = try predicate(call, usesAttribute: filter == .selectattr || filter == .rejectattr)
        let wanted = filter == .select || filter == .selectattr
        return { [unowned self] () throws(TemplateFailure) in
            while let item = try source.next() {
                let isMet = try self.nested { () throws(TemplateFailure) in try test(item) }
                if isMet == wanted { return item }
            }
            return nil
        }
    }

    private typealias Transform = (TemplateValue) throws(TemplateFailure) -> TemplateValue
    private typealias Predicate = (TemplateValue) throws(TemplateFailure) -> Bool

    private func transform(_ call: FilterArguments) throws(TemplateFailure) -> Transform {
        var values = call.values
        if values.positional.isEmpty, let attribute = values.take("attribute") {
            var fallback = values.take("default")
            if fallback?.equals(.none) == true { fallback = nil }
            if let (name, _) = values.named.first { throw .evaluation("the filter map has no argument \(name)") }
            let path = try AttributePath(attribute)
            return { [unowned self] (item) throws(TemplateFailure) in
                try path.value(of: item, self, fallback: fallback)
            }
        }
        guard let name = values.positional.first?.text else {
            throw .evaluation("the filter map needs the name of a filter, or attribute=…")
        }
        guard let filter = TemplateFilter(rawValue: name) else {
            throw .evaluation("there is no filter \(name), or it is not supported")
        }
        values.positional.removeFirst()
        return { [unowned self, values] (item) throws(TemplateFailure) in try self.apply(filter, to: item, values) }
    }

    private func predicate(_ call: FilterArguments, usesAttribute: Bool) throws(TemplateFailure) -> Predicate {
        var values = call.values
        var path = try AttributePath(nil)
        if usesAttribute {
            guard let attribute = values.positional.first else {
                throw .evaluation("the filter \(call.filter.rawValue) needs the name of an attribute")
            }
            path = try AttributePath(attribute)
            values.positional.removeFirst()
        }
        guard let first = values.positional.first else {
            return { [unowned self] (item) throws(TemplateFailure) in try path.value(of: item, self).isTrue }
        }
        guard let name = first.text, let test = TemplateTest(rawValue: name) else {
            throw .evaluation("there is no test \(try printed(first)), or it is not supported")
        }
        values.positional.removeFirst()
        return { [unowned self, values, path] (item) throws(TemplateFailure) in
            try self.holds(test, try path.value(of: item, self), values)
        }
    }
}

/// The `attribute=` of a filter: names and positions with dots between, as in `function.name`.
struct AttributePath {
    private let parts: [TemplateValue]

    init(_ value: TemplateValue?) throws(TemplateFailure) {
        switch value {
        case nil, .some(.none): parts = []
        case .string(let text)?, .markup(let text)?:
            parts = text.pieces(cutAt: text.occurrences(of: "."), width: 1).map { part in
                let isNumber = !part.isEmpty && part.unicodeScalars.allSatisfy(\.isASCIIDigit)
                return isNumber ? Int(part).map(TemplateValue.integer) ?? .string(part) : .string(part)
            }
        case .integer?: parts = [value ?? .none]
        case let other?: throw .evaluation("an attribute must be a name or a number, not of type \(other.typeName)")
        }
    }

    func value(
        of item: TemplateValue, _ evaluator: Evaluator, fallback: TemplateValue? = nil
    ) throws(TemplateFailure) -> TemplateValue {
        try evaluator.spend(parts.count)
        var value = item
        for part in parts {
            value = try evaluator.item(part, of: value)
            if let fallback, case .undefined = value { value = fallback }
        }
        return value
    }

    /// Several paths with commas between, as `sort` takes them.
    static func list(_ value: TemplateValue?) throws(TemplateFailure) -> [AttributePath] {
        guard let text = value?.text else { return [try AttributePath(value)] }
        var paths: [AttributePath] = []
        for part in text.pieces(cutAt: text.occurrences(of: ","), width: 1) {
            paths.append(try AttributePath(.string(part)))
        }
        return paths
    }
}
