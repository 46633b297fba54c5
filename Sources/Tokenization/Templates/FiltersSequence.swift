/// Filters that take items out of sequences, join or replace them.
extension Evaluator {
    func sequenceFilter(
        _ filter: TemplateFilter, _ value: TemplateValue, _ call: FilterArguments
    ) throws(TemplateFailure) -> TemplateValue? {
        switch filter {
        case .d, .fallback:
            let bound = try call.bound("default_value", "boolean")
            let isMissing: Bool
            if case .undefined = value {
                isMissing = true
            } else {
                isMissing = bound[1]?.isTrue == true && !value.isTrue
            }
            return isMissing ? bound[0] ?? .string("") : value
        case .attr: return try attr(value, call)
        case .join: return try join(value, call)
        case .tojson: return try json(value, call)
        case .batch: return try batch(value, call)
        case .slice: return try columns(value, call)
        default: break
        }
        try call.none()
        switch filter {
        case .length, .count: return try length(value)
        case .first: return try first(value)
        case .last: return try last(value)
        case .list: return try .list(try counted(value))
        case .items: return try pairs(value)
        case .reverse: return try reversed(value)
        default: return nil
        }
    }

    /// Every item, paid for.
    @inline(never)
    func counted(_ value: TemplateValue) throws(TemplateFailure) -> [TemplateValue] {
        if let length = value.length { try spend(length) }
        return try value.items
    }

    /// Python's `len`, paid for: that of a text is counted.
    @inline(never)
    func paidLength(_ value: TemplateValue) throws(TemplateFailure) -> Int? {
        if let text = value.text { try charge(bytes: text.utf8.count) }
        return value.length
    }

    private func length(_ value: TemplateValue) throws(TemplateFailure) -> TemplateValue? {
        if case .loop(let box) = value { return .integer(try box.length()) }
        return try paidLength(value).map(TemplateValue.integer)
    }

    private func first(_ value: TemplateValue) throws(TemplateFailure) -> TemplateValue {
        let nothing = TemplateValue.undefined(.other("there is no first item, the sequence is empty"))
        switch value {
        case .iterator(let box): return try box.next() ?? nothing
        case .string(let text), .markup(let text):
            return text.unicodeScalars.first.map { .string(String($0)) } ?? nothing
        default: return try counted(value).first ?? nothing
        }
    }

    private func last(_ value: TemplateValue) throws(TemplateFailure) -> TemplateValue {
        if case .iterator = value { throw .evaluation("the filter last needs a sequence; put | list before it") }
        let nothing = TemplateValue.undefined(.other("there is no last item, the sequence is empty"))
        if let text = value.text { return text.unicodeScalars.last.map { .string(String($0)) } ?? nothing }
        return try counted(value).last ?? nothing
    }

    private func pairs(_ value: TemplateValue) throws(TemplateFailure) -> TemplateValue {
        try deferred(value) { [unowned self] () throws(TemplateFailure) in
            switch value {
            case .undefined: return nil
            case .dict(let box):
                try self.spend(box.entries.count)
                let pairs = try TemplateValue.view(DictView(part: .items, dict: box)).iterator
                return { () throws(TemplateFailure) in try pairs.next() }
            default: throw .evaluation("only a dict has items, not a value of type \(value.typeName)")
            }
        }
    }

    private func reversed(_ value: TemplateValue) throws(TemplateFailure) -> TemplateValue {
        if let text = value.text { return try charged(.string(String(text.unicodeScalars.reversed()))) }
        let items = Array(try counted(value).reversed())
        if case .iterator = value { return try .list(items) }
        return .iterator(try TemplateValue.list(items).iterator)
    }

    private func join(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("d", "attribute")
        let separator = try bound[0].map(printed) ?? ""
        let path = try AttributePath(bound[1])
        var text = ""
        for (at, item) in try counted(value).enumerated() {
            if at > 0 { text += separator }
            text += try printed(try path.value(of: item, self))
            try checkLength(text.utf8.count)
        }
        return try charged(.string(text))
    }

    /// Like an attribute, but never a key.
    private func attr(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        guard let name = try call.required(try call.bound("name")[0], "name").text else {
            throw .evaluation("the filter attr needs a name")
        }
        if case .dict = value, DictMethod(rawValue: name) == nil {
            return .undefined(.attribute(name, of: value.typeName))
        }
        return try attribute(name, of: value)
    }

    private func json(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("ensure_ascii", "indent", "separators", "sort_keys")
        var indentation: String?
        if let text = bound[1]?.text {
            indentation = text
        } else if let given = bound[1], !given.equals(.none) {
            let width = try NumberFormat.checked(try call.integer(given, default: 0))
            indentation = String(repeating: " ", count: max(0, width))
        }
        var separators: [String] = []
        if let given = bound[2], !given.equals(.none) {
            for separator in try counted(given) { separators.append(try printed(separator)) }
            guard separators.count == 2 else { throw .evaluation("the filter tojson needs two separators") }
        }
        var writer = PythonJSONWriter(
            indentation: indentation, itemSeparator: separators.first, keySeparator: separators.last)
        writer.escapesNonASCII = bound[0]?.isTrue == true
        writer.sortsKeys = bound[3]?.isTrue == true
        try spend(value.extent.weight)
        try writer.write(value)
        let text = String(decoding: writer.output, as: UTF8.self)
        try charge(charactersOf: text)
        return .string(text)
    }

    /// Rows of a given length.
    private func batch(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("linecount", "fill_with")
        let size = try call.integer(try call.required(bound[0], "linecount"), default: 1)
        guard size > 0 else { throw .evaluation("the filter batch needs a positive number") }
        let items = try counted(value)
        var rows: [TemplateValue] = []
        for start in stride(from: 0, to: items.count, by: size) {
            var row = Array(items[start..<min(start + size, items.count)])
            if let fill = bound[1], !fill.equals(.none), row.count < size {
                try spend(size)
                row += Array(repeating: fill, count: size - row.count)
            }
            rows.append(try .list(row))
        }
        return .iterator(try TemplateValue.list(rows).iterator)
    }

    /// A given number of columns of nearly equal length.
    private func columns(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("slices", "fill_with")
        let count = try call.integer(try call.required(bound[0], "slices"), default: 1)
        guard count > 0 else { throw .evaluation("the filter slice needs a positive number") }
        try spend(count)
        let items = try counted(value)
        let (size, longer) = items.count.quotientAndRemainder(dividingBy: count)
        var columns: [TemplateValue] = []
        var start = 0
        for at in 0..<count {
            let end = start + size + (at < longer ? 1 : 0)
            var column = Array(items[start..<end])
            if let fill = bound[1], !fill.equals(.none), at >= longer { column.append(fill) }
            columns.append(try .list(column))
            start = end
        }
        return .iterator(try TemplateValue.list(columns).iterator)
    }
}
