/// What follows an expression: attributes, subscripts, calls, filters and tests.
extension TemplateParser {
    mutating func postfix(_ base: Expression) throws(TemplateFailure) -> Expression {
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

    mutating func filters(_ base: Expression) throws(TemplateFailure) -> Expression {
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
        var names: Set<String> = []
        var isFirst = true
        try expect(.leftParenthesis)
        while !skip(.rightParenthesis) {
            if !isFirst {
                try expect(.comma)
                if skip(.rightParenthesis) { break }
            }
            isFirst = false
            try argument(into: &arguments, names: &names)
        }
        return arguments
    }

    private mutating func argument(
        into arguments: inout CallArguments, names: inout Set<String>
    ) throws(TemplateFailure) {
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
            guard names.insert(name).inserted else {
                throw failure("the argument \(name) is given twice")
            }
            arguments.named.append((name, try expression()))
        } else {
            guard arguments.spread == nil, arguments.namedSpread == nil, arguments.named.isEmpty else {
                throw wrongOrder
            }
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
