/// Filters that compare the items of a sequence.
extension Evaluator {
    func orderFilter(
        _ filter: TemplateFilter, _ value: TemplateValue, _ call: FilterArguments
    ) throws(TemplateFailure) -> TemplateValue? {
        switch filter {
        case .sort: return try sort(value, call)
        case .dictsort: return try dictsort(value, call)
        case .unique: return try unique(value, call)
        case .min: return try extreme(value, call, .less)
        case .max: return try extreme(value, call, .greater)
        case .sum: return try sum(value, call)
        case .groupby: return try groupby(value, call)
        default: return nil
        }
    }

    /// Text is compared without regard to case unless asked for.
    private func folded(_ value: TemplateValue, _ isCaseSensitive: TemplateValue?) throws(TemplateFailure)
        -> TemplateValue
    {
        guard isCaseSensitive?.isTrue != true, let text = value.text else { return value }
        try charge(charactersOf: text)
        return .string(text.pythonLowercased)
    }

    /// Sorts values by their keys; the order of equal ones stays, also in reverse.
    private func sorted(
        _ pairs: [(key: TemplateValue, value: TemplateValue)], reverse: TemplateValue?
    ) throws(TemplateFailure) -> [TemplateValue] {
        let comparison: Comparison = reverse?.isTrue == true ? .greater : .less
        return try pairs.sortedStably { (a, b) throws(TemplateFailure) in
            try ordered(comparison, a.key, b.key)
        }.map(\.value)
    }

    private func sort(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("reverse", "case_sensitive", "attribute")
        let paths = try AttributePath.list(bound[2])
        var pairs: [(key: TemplateValue, value: TemplateValue)] = []
        for item in try counted(value) {
            var keys: [TemplateValue] = []
            for path in paths { keys.append(try folded(try path.value(of: item, self), bound[1])) }
            pairs.append((try .list(keys), item))
        }
        return try .list(sorted(pairs, reverse: bound[0]))
    }

    private func dictsort(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue? {
        let bound = try call.bound("case_sensitive", "by", "reverse")
        if case .undefined(let box) = value { throw box.failure }
        guard case .dict(let box) = value else { return nil }
        let by = bound[1]?.text ?? "key"
        guard by == "key" || by == "value" else { throw .evaluation("the filter dictsort sorts by key or value") }
        var pairs: [(key: TemplateValue, value: TemplateValue)] = []
        for entry in box.entries {
            pairs.append(
                (try folded(by == "key" ? entry.key : entry.value, bound[0]), try .tuple([entry.key, entry.value])))
        }
        return try .list(sorted(pairs, reverse: bound[2]))
    }

    private func unique(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("case_sensitive", "attribute")
        let path = try AttributePath(bound[1])
        var seen: Set<DictKey> = []
        return try deferred(value) { [unowned self] () throws(TemplateFailure) in
            let source = try value.iterator
            return { () throws(TemplateFailure) in
                while let item = try source.next() {
                    let value = try self.folded(try path.value(of: item, self), bound[0])
                    try self.spend(value.extent.weight)
                    let key = try DictKey.required(value)
                    if seen.insert(key).inserted { return item }
                }
                return nil
            }
        }
    }

    private func extreme(
        _ value: TemplateValue, _ call: FilterArguments, _ comparison: Comparison
    ) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("case_sensitive", "attribute")
        let path = try AttributePath(bound[1])
        var best: (key: TemplateValue, value: TemplateValue)?
        for item in try counted(value) {
            let key = try folded(try path.value(of: item, self), bound[0])
            if let current = best, try !ordered(comparison, key, current.key) { continue }
            best = (key, item)
        }
        return best?.value ?? .undefined(.other("there is no smallest or largest item, the sequence is empty"))
    }

    private func sum(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("attribute", "start")
        let path = try AttributePath(bound[0])
        var total = bound[1] ?? .integer(0)
        if total.text != nil { throw .evaluation("the filter sum cannot add strings; use join") }
        for item in try counted(value) { total = try arithmetic(.add, total, try path.value(of: item, self)) }
        return total
    }

    /// Pairs of a value and the items that have it, which are also called `grouper` and `list`.
    private func groupby(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("attribute", "default", "case_sensitive")
        let path = try AttributePath(try call.required(bound[0], "attribute"))
        var pairs: [(key: TemplateValue, value: TemplateValue)] = []
        for item in try counted(value) {
            let key = try folded(try path.value(of: item, self, fallback: bound[1]), bound[2])
            pairs.append((key, try .tuple([key, item])))
        }
        var groups: [(key: TemplateValue, items: [TemplateValue])] = []
        for pair in try sorted(pairs, reverse: nil) {
            guard case .tuple(let box) = pair else { continue }
            if let last = groups.last, try ordered(.equal, last.key, box.items[0]) {
                groups[groups.count - 1].items.append(box.items[1])
            } else {
                groups.append((box.items[0], [box.items[1]]))
            }
        }
        var result: [TemplateValue] = []
        for group in groups {
            let key = try path.value(of: group.items[0], self, fallback: bound[1])
            result.append(.tuple(try ListBox([key, try .list(group.items)], names: ["grouper", "list"])))
        }
        return try .list(result)
    }
}
