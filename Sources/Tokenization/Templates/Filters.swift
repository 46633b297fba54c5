/// The filters that `|` knows, under Jinja's names.
enum TemplateFilter: String, CaseIterable {
    case abs, attr, batch, capitalize, center, count, d, dictsort, e, escape, first, float, forceescape, format
    case groupby, indent, int, items, join, last, length, list, lower, map, max, min, reject, rejectattr, replace
    case reverse, round, safe, select, selectattr, slice, sort, string, sum, title, tojson, trim, truncate
    case unique, upper, urlencode, wordcount
    case fallback = "default"
}

extension Evaluator {
    func apply(
        _ filters: [FilterCall], to value: TemplateValue, in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        var value = value
        for call in filters { value = try apply(call, to: value, in: scope) }
        return value
    }

    func apply(
        _ call: FilterCall, to value: TemplateValue, in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        try spend(1)
        let arguments = try values(of: call.arguments, in: scope)
        at(call.line)
        guard let filter = call.filter else {
            throw .evaluation("there is no filter \(call.name), or it is not supported")
        }
        return try apply(filter, to: value, arguments)
    }

    func apply(
        _ filter: TemplateFilter, to value: TemplateValue, _ arguments: CallValues
    ) throws(TemplateFailure) -> TemplateValue {
        let call = FilterArguments(filter: filter, values: arguments)
        let result: TemplateValue? =
            switch filter {
            case .capitalize, .center, .e, .escape, .forceescape, .format, .indent, .lower, .replace, .safe, .string,
                .title, .trim, .truncate, .upper, .urlencode, .wordcount:
                try textFilter(filter, value, call)
            case .abs, .float, .int, .round: try numberFilter(filter, value, call)
            case .map, .select, .reject, .selectattr, .rejectattr: try lazyFilter(filter, value, call)
            case .dictsort, .groupby, .max, .min, .sort, .sum, .unique: try orderFilter(filter, value, call)
            case .attr, .batch, .count, .d, .fallback, .first, .items, .join, .last, .length, .list, .reverse, .slice,
                .tojson:
                try sequenceFilter(filter, value, call)
            }
        guard let result else { throw .evaluation("the filter \(filter.rawValue) does not fit \(value.typeName)") }
        return result
    }
}

/// The arguments of a filter, bound to its parameters' names.
struct FilterArguments {
    let filter: TemplateFilter
    let values: CallValues

    private var what: String { "the filter \(filter.rawValue)" }

    func bound(_ names: String...) throws(TemplateFailure) -> [TemplateValue?] {
        try values.bound(to: names, of: what)
    }

    func none() throws(TemplateFailure) { _ = try values.bound(to: [], of: what) }

    func required(_ value: TemplateValue?, _ name: String) throws(TemplateFailure) -> TemplateValue {
        guard let value else { throw .evaluation("\(what) needs its argument \(name)") }
        return value
    }

    func integer(_ value: TemplateValue?, default fallback: Int) throws(TemplateFailure) -> Int {
        guard let value else { return fallback }
        guard case .integer(let integer)? = Numeric(value) else {
            throw .evaluation("\(what) needs an integer, not a value of type \(value.typeName)")
        }
        return integer
    }
}
