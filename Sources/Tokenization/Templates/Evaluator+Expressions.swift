/// Expressions. The switch only forwards, so that the stack frame of a nested evaluation stays small; what it forwards
/// to must not be drawn into it.
extension Evaluator {
    func evaluate(_ expression: TemplateExpression, in scope: TemplateScope) throws(TemplateFailure) -> TemplateValue {
        switch expression.kind {
        case .constant(let constant): constant.value
        case .name(let name): scope.lookup(name) ?? .undefined(.name(name))
        default: try nested { () throws(TemplateFailure) in try compound(expression, in: scope) }
        }
    }

    private func compound(
        _ expression: TemplateExpression, in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        switch expression.kind {
        case .constant, .name: return .none
        case .tuple(let parts): return try .tuple(values(of: parts, in: scope))
        case .list(let parts): return try .list(values(of: parts, in: scope))
        case .dict(let entries): return try dict(entries, in: scope)
        case .attribute(let base, let name):
            let value = try evaluate(base, in: scope)
            at(expression.line)
            return try attribute(name, of: value)
        case .item(let base, let key): return try item(base, key, expression.line, in: scope)
        case .slice(let base, let start, let stop, let step): return try slice(base, start, stop, step, in: scope)
        case .call(let base, let arguments): return try call(base, arguments, expression.line, in: scope)
        case .filter(let base, let call):
            return try apply(call, to: try evaluate(base, in: scope), in: scope)
        case .test(let base, let call): return try test(base, call, expression.line, in: scope)
        case .negative(let part): return try negative(part, in: scope)
        case .positive(let part): return try positive(part, in: scope)
        case .not(let part): return .bool(!(try evaluate(part, in: scope).isTrue))
        case .and(let left, let right):
            let value = try evaluate(left, in: scope)
            return value.isTrue ? try evaluate(right, in: scope) : value
        case .or(let left, let right):
            let value = try evaluate(left, in: scope)
            return value.isTrue ? value : try evaluate(right, in: scope)
        case .arithmetic(let sign, let left, let right):
            return try arithmetic(sign, left, right, expression.line, in: scope)
        case .compare(let first, let rest): return try compare(first, rest, expression.line, in: scope)
        case .concatenate(let parts): return try concatenated(parts, in: scope)
        case .conditional(let value, let test, let otherwise):
            return try conditional(value, test, otherwise, expression.line, in: scope)
        }
    }

    @inline(never)
    func values(
        of expressions: [TemplateExpression], in scope: TemplateScope
    ) throws(TemplateFailure) -> [TemplateValue] {
        try spend(expressions.count)
        var values: [TemplateValue] = []
        values.reserveCapacity(expressions.count)
        for expression in expressions { values.append(try evaluate(expression, in: scope)) }
        return values
    }

    @inline(never)
    private func dict(
        _ entries: [(key: TemplateExpression, value: TemplateExpression)], in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        var result: [DictBox.Entry] = []
        for entry in entries {
            let key = try evaluate(entry.key, in: scope)
            try spend(key.extent.weight)
            result.append((key, try evaluate(entry.value, in: scope)))
        }
        return .dict(try DictBox(result))
    }

    @inline(never)
    private func item(
        _ base: TemplateExpression, _ key: TemplateExpression, _ line: Int, in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        let value = try evaluate(base, in: scope)
        let key = try evaluate(key, in: scope)
        at(line)
        return try item(key, of: value)
    }

    @inline(never)
    private func arithmetic(
        _ sign: ArithmeticOperator, _ left: TemplateExpression, _ right: TemplateExpression, _ line: Int,
        in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        let a = try evaluate(left, in: scope)
        let b = try evaluate(right, in: scope)
        at(line)
        return try arithmetic(sign, a, b)
    }

    @inline(never)
    private func compare(
        _ first: TemplateExpression, _ rest: [(comparison: Comparison, value: TemplateExpression)], _ line: Int,
        in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        var left = try evaluate(first, in: scope)
        for (comparison, expression) in rest {
            try spend(1)
            let right = try evaluate(expression, in: scope)
            at(line)
            if try !compare(comparison, left, right) { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    @inline(never)
    private func concatenated(
        _ parts: [TemplateExpression], in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        var text = ""
        for part in parts {
            try spend(1)
            text += try printed(try evaluate(part, in: scope))
            try checkLength(text.utf8.count)
        }
        return try charged(.string(text))
    }

    @inline(never)
    private func negative(_ part: TemplateExpression, in scope: TemplateScope) throws(TemplateFailure) -> TemplateValue
    {
        let value = try evaluate(part, in: scope)
        if case .number(let number) = value { return .number(-number) }
        return try arithmetic(.subtract, .integer(0), value)
    }

    @inline(never)
    private func positive(_ part: TemplateExpression, in scope: TemplateScope) throws(TemplateFailure) -> TemplateValue
    {
        let value = try evaluate(part, in: scope)
        if case .number = value { return value }
        return try arithmetic(.add, .integer(0), value)
    }

    @inline(never)
    private func conditional(
        _ value: TemplateExpression, _ test: TemplateExpression, _ otherwise: TemplateExpression?, _ line: Int,
        in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        if try evaluate(test, in: scope).isTrue { return try evaluate(value, in: scope) }
        if let otherwise { return try evaluate(otherwise, in: scope) }
        return .undefined(.other("the inline if on line \(line) is false and has no else"))
    }

    @inline(never)
    private func test(
        _ base: TemplateExpression, _ call: TestCall, _ line: Int, in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        let value = try evaluate(base, in: scope)
        let arguments = try values(of: call.arguments, in: scope)
        at(line)
        guard let test = call.test else { throw .evaluation("there is no test \(call.name), or it is not supported") }
        return .bool(try holds(test, value, arguments))
    }
}

extension TemplateExpression.Constant {
    var value: TemplateValue {
        switch self {
        case .none: .none
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .number(let value): .number(value)
        case .string(let value): .string(value)
        }
    }
}
