/// Expressions, from the loosest to the tightest binding.
extension TemplateParser {
    typealias Expression = TemplateExpression

    func make(
        _ kind: Expression.Kind, _ line: Int, over children: [Expression] = []
    ) throws(TemplateFailure) -> Expression {
        let depth = 1 + (children.lazy.map(\.depth).max() ?? 0)
        guard depth <= TemplateLimits.expressionDepth else {
            throw failure("the expression is nested more than \(TemplateLimits.expressionDepth) deep")
        }
        return Expression(kind: kind, line: line, depth: depth)
    }

    /// One expression, or several with commas between, which make a tuple.
    mutating func tuple(
        allowsConditional: Bool = true, ends: [String] = [], inParentheses: Bool = false
    ) throws(TemplateFailure) -> Expression {
        let line = line
        var parts: [Expression] = []
        var isTuple = false
        while !endsTuple(ends) {
            parts.append(try expression(allowsConditional: allowsConditional))
            guard skip(.comma) else { break }
            isTuple = true
        }
        if !isTuple, let only = parts.first { return only }
        guard isTuple || inParentheses else { throw unexpected("an expression") }
        return try make(.tuple(parts), line, over: parts)
    }

    private func endsTuple(_ ends: [String]) -> Bool {
        switch current {
        case .variableEnd, .blockEnd, .symbol(.rightParenthesis): true
        case .name(let name): ends.contains(name)
        default: false
        }
    }

    mutating func expression(allowsConditional: Bool = true) throws(TemplateFailure) -> Expression {
        expressionDepth += 1
        defer { expressionDepth -= 1 }
        guard expressionDepth <= TemplateLimits.expressionDepth / 2 else { throw failure("the expression is too deep") }
        return try allowsConditional ? conditional() : or()
    }

    private mutating func conditional() throws(TemplateFailure) -> Expression {
        let line = line
        let known = unknown.count
        var result = try or()
        while skip(word: "if") {
            let test = try or()
            let otherwise = skip(word: "else") ? try expression() : nil
            forgetUnknown(from: known)
            result = try make(
                .conditional(result, test: test, otherwise: otherwise), line, over: [result, test, otherwise ?? test])
        }
        return result
    }

    private mutating func or() throws(TemplateFailure) -> Expression {
        let line = line
        var left = try and()
        while skip(word: "or") {
            let right = try and()
            left = try make(.or(left, right), line, over: [left, right])
        }
        return left
    }

    private mutating func and() throws(TemplateFailure) -> Expression {
        let line = line
        var left = try not()
        while skip(word: "and") {
            let right = try not()
            left = try make(.and(left, right), line, over: [left, right])
        }
        return left
    }

    private mutating func not() throws(TemplateFailure) -> Expression {
        let line = line
        var count = 0
        while skip(word: "not") { count += 1 }
        var result = try comparison()
        for _ in 0..<count { result = try make(.not(result), line, over: [result]) }
        return result
    }

    private mutating func comparison() throws(TemplateFailure) -> Expression {
        let line = line
        let first = try sum()
        var rest: [(comparison: Comparison, value: Expression)] = []
        while let comparison = comparisonSign() { rest.append((comparison, try sum())) }
        if rest.isEmpty { return first }
        return try make(.compare(first, rest), line, over: [first] + rest.map(\.value))
    }

    private mutating func comparisonSign() -> Comparison? {
        switch current {
        case .symbol(let symbol):
            guard let comparison = Comparison(rawValue: symbol.rawValue) else { return nil }
            advance()
            return comparison
        case .name("in"):
            advance()
            return .isIn
        case .name("not") where next == .name("in"):
            advance()
            advance()
            return .isNotIn
        default: return nil
        }
    }

    private mutating func sum() throws(TemplateFailure) -> Expression {
        let line = line
        var left = try concatenation()
        while true {
            let sign: ArithmeticOperator
            if skip(.plus) { sign = .add } else if skip(.minus) { sign = .subtract } else { return left }
            let right = try concatenation()
            left = try make(.arithmetic(sign, left, right), line, over: [left, right])
        }
    }

    private mutating func concatenation() throws(TemplateFailure) -> Expression {
        let line = line
        var parts = [try product()]
        while skip(.tilde) { parts.append(try product()) }
        return parts.count == 1 ? parts[0] : try make(.concatenate(parts), line, over: parts)
    }

    private mutating func product() throws(TemplateFailure) -> Expression {
        let line = line
        var left = try power()
        while case .symbol(let symbol) = current, let sign = ArithmeticOperator(rawValue: symbol.rawValue),
            sign != .add, sign != .subtract, sign != .power
        {
            advance()
            let right = try power()
            left = try make(.arithmetic(sign, left, right), line, over: [left, right])
        }
        return left
    }

    private mutating func power() throws(TemplateFailure) -> Expression {
        let line = line
        var left = try unary()
        while skip(.power) {
            let right = try unary()
            left = try make(.arithmetic(.power, left, right), line, over: [left, right])
        }
        return left
    }

    /// Filters bind looser than signs: `-1 | abs` is the absolute value of −1.
    private mutating func unary() throws(TemplateFailure) -> Expression {
        let line = line
        var signs: [Bool] = []
        while current == .symbol(.minus) || current == .symbol(.plus) {
            signs.append(current == .symbol(.minus))
            advance()
        }
        var result = try postfix(try primary())
        for isNegative in signs.reversed() {
            result = try make(isNegative ? .negative(result) : .positive(result), line, over: [result])
            result = try postfix(result)
        }
        return try filters(result)
    }

    mutating func primary() throws(TemplateFailure) -> Expression {
        let line = line
        switch current {
        case .name(let name):
            advance()
            if let constant = Self.constants[name] { return try make(.constant(constant), line) }
            if !implicitNames.isEmpty, ["caller", "varargs", "kwargs"].contains(name) {
                implicitNames[implicitNames.count - 1].insert(name)
            }
            return try make(.name(name), line)
        case .string(var text):
            advance()
            while case .string(let more) = current {
                text += more
                advance()
            }
            return try make(.constant(.string(text)), line)
        case .integer(let value):
            advance()
            return try make(.constant(.integer(value)), line)
        case .number(let value):
            advance()
            return try make(.constant(.number(value)), line)
        case .symbol(.leftParenthesis):
            advance()
            let inner = try tuple(inParentheses: true)
            try expect(.rightParenthesis)
            return inner
        case .symbol(.leftBracket): return try list()
        case .symbol(.leftBrace): return try dict()
        default: throw unexpected("an expression")
        }
    }

    private static let constants: [String: Expression.Constant] = [
        "true": .bool(true), "True": .bool(true), "false": .bool(false), "False": .bool(false), "none": .none,
        "None": .none,
    ]

    private mutating func list() throws(TemplateFailure) -> Expression {
        let line = line
        advance()
        var items: [Expression] = []
        while !skip(.rightBracket) {
            if !items.isEmpty {
                try expect(.comma)
                if skip(.rightBracket) { break }
            }
            items.append(try expression())
        }
        return try make(.list(items), line, over: items)
    }

    private mutating func dict() throws(TemplateFailure) -> Expression {
        let line = line
        advance()
        var items: [(key: Expression, value: Expression)] = []
        while !skip(.rightBrace) {
            if !items.isEmpty {
                try expect(.comma)
                if skip(.rightBrace) { break }
            }
            let key = try expression()
            try expect(.colon)
            items.append((key, try expression()))
        }
        return try make(.dict(items), line, over: items.flatMap { [$0.key, $0.value] })
    }
}
