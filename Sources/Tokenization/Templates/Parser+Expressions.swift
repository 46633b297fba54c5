/// Expressions, from the loosest to the tightest binding.
extension TemplateParser {
    typealias Expression = TemplateExpression

    private func make(
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
        let known = unknown
        var result = try or()
        while skip(word: "if") {
            let test = try or()
            let otherwise = skip(word: "else") ? try expression() : nil
            unknown = known
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

    private mutating func primary() throws(TemplateFailure) -> Expression {
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

// MARK: - What follows an expression
extension TemplateParser {
    private mutating func postfix(_ base: Expression) throws(TemplateFailure) -> Expression {
        var result = base
        while true {
            switch current {
            case .symbol(.dot): result = try attribute(of: result)
            case .symbol(.leftBracket): result = try subscripted(result)
            case .symbol(.leftParenthesis): result = try call(result)
            default: return result
            }
        }
    }

    private mutating func filters(_ base: Expression) throws(TemplateFailure) -> Expression {
        var result = base
        while true {
            let line = line
            switch current {
            case .symbol(.pipe):
                advance()
                let call = try filterCall()
                result = try make(.filter(result, call), line, over: [result] + call.arguments.expressions)
            case .name("is"):
                advance()
                result = try test(of: result, line)
            case .symbol(.leftParenthesis): result = try call(result)
            default: return result
            }
        }
    }

    private mutating func attribute(of base: Expression) throws(TemplateFailure) -> Expression {
        let line = line
        advance()
        switch current {
        case .name(let name):
            advance()
            return try make(.attribute(base, name), line, over: [base])
        case .integer(let value):
            advance()
            let key = try make(.constant(.integer(value)), line)
            return try make(.item(base, key), line, over: [base])
        default: throw unexpected("a name or a number")
        }
    }

    private mutating func subscripted(_ base: Expression) throws(TemplateFailure) -> Expression {
        let line = line
        advance()
        let start = current == .symbol(.colon) ? nil : try expression()
        guard skip(.colon) else {
            guard let key = start else { throw unexpected("a key") }
            var keys = [key]
            while skip(.comma), current != .symbol(.rightBracket) { keys.append(try expression()) }
            try expect(.rightBracket)
            let whole = keys.count == 1 ? key : try make(.tuple(keys), line, over: keys)
            return try make(.item(base, whole), line, over: [base, whole])
        }
        let stop = current == .symbol(.colon) || current == .symbol(.rightBracket) ? nil : try expression()
        let step = skip(.colon) && current != .symbol(.rightBracket) ? try expression() : nil
        try expect(.rightBracket)
        let parts = [base, start, stop, step].compactMap { $0 }
        return try make(.slice(base, start: start, stop: stop, step: step), line, over: parts)
    }

    private mutating func call(_ base: Expression) throws(TemplateFailure) -> Expression {
        let line = line
        let arguments = try callArguments()
        return try make(.call(base, arguments), line, over: [base] + arguments.expressions)
    }

    private mutating func callArguments() throws(TemplateFailure) -> CallArguments {
        var arguments = CallArguments()
        try expect(.leftParenthesis)
        while !skip(.rightParenthesis) {
            if !arguments.expressions.isEmpty {
                try expect(.comma)
                if skip(.rightParenthesis) { break }
            }
            try argument(into: &arguments)
        }
        return arguments
    }

    private mutating func argument(into arguments: inout CallArguments) throws(TemplateFailure) {
        let wrongOrder = failure("the arguments of the call are in an order that Python refuses")
        if skip(.times) {
            guard arguments.spread == nil, arguments.namedSpread == nil else { throw wrongOrder }
            arguments.spread = try expression()
        } else if skip(.power) {
            guard arguments.namedSpread == nil else { throw wrongOrder }
            arguments.namedSpread = try expression()
        } else if case .name(let name) = current, next == .symbol(.assign) {
            guard arguments.namedSpread == nil else { throw wrongOrder }
            advance()
            advance()
            guard !arguments.named.contains(where: { $0.name == name }) else {
                throw failure("the argument \(name) is given twice")
            }
            arguments.named.append((name, try expression()))
        } else {
            guard arguments.spread == nil, arguments.namedSpread == nil, arguments.named.isEmpty else { throw wrongOrder }
            arguments.positional.append(try expression())
        }
    }

    private mutating func dottedName() throws(TemplateFailure) -> String {
        var name = try expectName()
        while skip(.dot) { name += "." + (try expectName()) }
        return name
    }

    /// A filter's name and arguments, after the bar.
    mutating func filterCall() throws(TemplateFailure) -> FilterCall {
        let line = line
        let name = try dottedName()
        let filter = TemplateFilter(rawValue: name)
        if filter == nil { unknown.append(.syntax("there is no filter \(name), or it is not supported", line: line)) }
        let arguments = current == .symbol(.leftParenthesis) ? try callArguments() : CallArguments()
        return FilterCall(name: name, filter: filter, arguments: arguments, line: line)
    }

    private mutating func test(of base: Expression, _ line: Int) throws(TemplateFailure) -> Expression {
        let isNegated = skip(word: "not")
        let name = try dottedName()
        let test = TemplateTest(rawValue: name)
        if test == nil { unknown.append(.syntax("there is no test \(name), or it is not supported", line: line)) }
        var arguments = CallArguments()
        if current == .symbol(.leftParenthesis) {
            arguments = try callArguments()
        } else if startsArgument {
            if current == .name("is") { throw failure("several tests cannot follow each other; write `and` between") }
            arguments.positional = [try postfix(try primary())]
        }
        let call = TestCall(name: name, test: test, arguments: arguments)
        let result = try make(.test(base, call), line, over: [base] + arguments.expressions)
        return isNegated ? try make(.not(result), line, over: [result]) : result
    }

    /// Whether a test without parentheses is followed by an argument, as in `is divisibleby 3`.
    private var startsArgument: Bool {
        switch current {
        case .name(let name): !["else", "or", "and"].contains(name)
        case .string, .integer, .number, .symbol(.leftBracket), .symbol(.leftBrace): true
        default: false
        }
    }
}
