/// Turns tokens into statements. Expressions are in `Parser+Expressions.swift`.
struct TemplateParser {
    let tokens: [TemplateToken]
    var index = 0
    /// Filters and tests that do not exist, in places that are always compiled; the parser gives up on them.
    private var unknownHard: [TemplateFailure] = []
    /// The same, in the block that is being read; inside an `if` they only fail when reached.
    var unknown: [TemplateFailure] = []
    /// For every macro that is being read, the names `caller`, `varargs` and `kwargs` as far as its body reads them.
    var implicitNames: [Set<String>] = []
    private var blockDepth = 0
    private var loopDepth = 0
    var expressionDepth = 0
    private(set) var hasGenerationBlocks = false

    static func parse(
        _ source: String
    ) throws(TemplateFailure) -> (statements: [TemplateStatement], hasGenerationBlocks: Bool) {
        var parser = TemplateParser(tokens: try TemplateLexer.tokens(of: source))
        let statements = try parser.statements(until: [])
        if let failure = parser.unknownHard.first ?? parser.unknown.first { throw failure }
        return (statements, parser.hasGenerationBlocks)
    }

    private init(tokens: [TemplateToken]) { self.tokens = tokens }
}

// MARK: - Tokens
extension TemplateParser {
    var current: TemplateToken.Kind { tokens[index].kind }
    var line: Int { tokens[index].line }
    var next: TemplateToken.Kind { tokens[min(index + 1, tokens.count - 1)].kind }

    mutating func advance() { index = min(index + 1, tokens.count - 1) }

    mutating func skip(_ symbol: TemplateToken.Symbol) -> Bool { skip(.symbol(symbol)) }
    mutating func skip(word: String) -> Bool { skip(.name(word)) }

    private mutating func skip(_ kind: TemplateToken.Kind) -> Bool {
        guard current == kind else { return false }
        advance()
        return true
    }

    mutating func expect(_ symbol: TemplateToken.Symbol) throws(TemplateFailure) { try expect(.symbol(symbol)) }
    mutating func expect(word: String) throws(TemplateFailure) { try expect(.name(word)) }

    private mutating func expect(_ kind: TemplateToken.Kind) throws(TemplateFailure) {
        guard current == kind else { throw unexpected(kind.text) }
        advance()
    }

    mutating func expectName() throws(TemplateFailure) -> String {
        guard case .name(let name) = current else { throw unexpected("a name") }
        advance()
        return name
    }

    func failure(_ reason: String) -> TemplateFailure { .syntax(reason, line: line) }
    func unexpected(_ expected: String) -> TemplateFailure {
        failure("found \(current.text) where \(expected) is expected")
    }
}

// MARK: - Blocks
extension TemplateParser {
    /// Reads up to a tag that starts with one of the words, which stays to be read.
    private mutating func statements(until ends: [String]) throws(TemplateFailure) -> [TemplateStatement] {
        blockDepth += 1
        defer { blockDepth -= 1 }
        guard blockDepth <= TemplateLimits.blockDepth else {
            throw failure("blocks are nested more than \(TemplateLimits.blockDepth) deep")
        }
        var result: [TemplateStatement] = []
        while true {
            let line = line
            switch current {
            case .end:
                guard ends.isEmpty else {
                    throw failure("the template ends where {% \(ends.last ?? "") %} is expected")
                }
                return result
            case .text(let text):
                result.append(TemplateStatement(kind: .text(text), line: line))
                advance()
            case .variableBegin:
                advance()
                result.append(TemplateStatement(kind: .output(try tuple()), line: line))
                try expect(.variableEnd)
            default:
                try expect(.blockBegin)
                if case .name(let word) = current, ends.contains(word) { return result }
                result += try statement()
                try expect(.blockEnd)
            }
        }
    }

    /// Reads a body after the head of its tag, and the word that ends it.
    private mutating func body(
        until ends: String..., insideLoop: Bool = false, resetsLoop: Bool = false
    ) throws(TemplateFailure) -> (statements: [TemplateStatement], end: String) {
        _ = skip(.colon)
        try expect(.blockEnd)
        let outer = loopDepth
        defer { loopDepth = outer }
        if insideLoop { loopDepth += 1 }
        if resetsLoop { loopDepth = 0 }
        let result = try statements(until: ends)
        return (result, try expectName())
    }

    /// A body with variables of its own. An unknown filter in it is an error even inside an `if`, as in Jinja.
    private mutating func ownBody(
        until ends: String..., insideLoop: Bool = false, resetsLoop: Bool = false
    ) throws(TemplateFailure) -> (statements: [TemplateStatement], end: String) {
        let outer = unknown
        unknown = []
        let result: (statements: [TemplateStatement], end: String)
        if ends.count == 2 {
            result = try body(until: ends[0], ends[1], insideLoop: insideLoop, resetsLoop: resetsLoop)
        } else {
            result = try body(until: ends[0], insideLoop: insideLoop, resetsLoop: resetsLoop)
        }
        if unknownHard.isEmpty { unknownHard = unknown }
        unknown = outer
        return result
    }

    /// What stands inside an `if` fails only when it is reached.
    mutating func forgetUnknown(from count: Int) {
        // There are fewer where an error inside a body of its own is on its way out.
        if unknown.count > count { unknown.removeLast(unknown.count - count) }
    }

    private mutating func statement() throws(TemplateFailure) -> [TemplateStatement] {
        let line = line
        guard case .name(let word) = current else { throw unexpected("the name of a tag") }
        advance()
        let kind: TemplateStatement.Kind
        switch word {
        case "print": return try printStatement(line)
        case "for": kind = try forLoop()
        case "if": kind = try branch()
        case "set": kind = try assignment()
        case "macro": kind = .macro(try macro())
        case "call": kind = try callBlock()
        case "filter": kind = try filterBlock()
        case "with": kind = try withBlock()
        case "block": kind = try namedBlock()
        case "generation":
            hasGenerationBlocks = true
            kind = .generation(try ownBody(until: "endgeneration", resetsLoop: true).statements)
        case "break", "continue":
            guard loopDepth > 0 else { throw TemplateFailure.syntax("\(word) stands outside of a loop", line: line) }
            kind = word == "break" ? .breakLoop : .continueLoop
        default: throw unknownTag(word, line)
        }
        return [TemplateStatement(kind: kind, line: line)]
    }

    private func unknownTag(_ word: String, _ line: Int) -> TemplateFailure {
        switch word {
        case "include", "import", "from", "extends":
            .syntax("{% \(word) %} needs other templates, which a chat template does not have", line: line)
        case "autoescape": .syntax("{% autoescape %} is not supported", line: line)
        default: .syntax("there is no tag {% \(word) %}, or it does not belong here", line: line)
        }
    }

    private mutating func printStatement(_ line: Int) throws(TemplateFailure) -> [TemplateStatement] {
        var result: [TemplateStatement] = []
        while current != .blockEnd {
            if !result.isEmpty { try expect(.comma) }
            result.append(TemplateStatement(kind: .output(try expression()), line: line))
        }
        return result
    }
}

// MARK: - Statements
extension TemplateParser {
    private mutating func forLoop() throws(TemplateFailure) -> TemplateStatement.Kind {
        let target = try target(allowsAttribute: false)
        if case .name("loop") = target { throw failure("a loop variable may not be named loop") }
        try expect(word: "in")
        let iterable = try tuple(allowsConditional: false, ends: ["recursive"])
        let test = skip(word: "if") ? try expression() : nil
        let isRecursive = skip(word: "recursive")
        let first = try ownBody(until: "endfor", "else", insideLoop: true)
        let otherwise = first.end == "else" ? try ownBody(until: "endfor").statements : []
        return .loop(
            .init(
                target: target, iterable: iterable, test: test, isRecursive: isRecursive, body: first.statements,
                otherwise: otherwise))
    }

    private mutating func branch() throws(TemplateFailure) -> TemplateStatement.Kind {
        let known = unknown.count
        defer { forgetUnknown(from: known) }
        var branches: [TemplateStatement.Branch] = []
        while true {
            let test = try tuple(allowsConditional: false)
            _ = skip(.colon)
            try expect(.blockEnd)
            branches.append(.init(test: test, body: try statements(until: ["elif", "else", "endif"])))
            let end = try expectName()
            if end == "endif" { return .branch(branches, otherwise: []) }
            if end == "else" { return .branch(branches, otherwise: try body(until: "endif").statements) }
        }
    }

    private mutating func assignment() throws(TemplateFailure) -> TemplateStatement.Kind {
        let target = try target(allowsAttribute: true)
        if skip(.assign) { return .set(target, try tuple()) }
        var filters: [FilterCall] = []
        while skip(.pipe) { filters.append(try filterCall()) }
        return .setBlock(target, filters: filters, body: try ownBody(until: "endset").statements)
    }

    private mutating func macro() throws(TemplateFailure) -> MacroDefinition {
        let name = try expectName()
        guard current == .symbol(.leftParenthesis) else { throw unexpected("(") }
        return try definition(name: name, end: "endmacro")
    }

    private mutating func definition(name: String, end: String) throws(TemplateFailure) -> MacroDefinition {
        implicitNames.append([])
        let parameters = current == .symbol(.leftParenthesis) ? try signature() : []
        let body = try ownBody(until: end, resetsLoop: true).statements
        return finished(name: name, parameters: parameters, body: body)
    }

    private mutating func finished(
        name: String, parameters: [MacroDefinition.Parameter], body: [TemplateStatement]
    ) -> MacroDefinition {
        var names = implicitNames.removeLast()
        if !implicitNames.isEmpty { implicitNames[implicitNames.count - 1].formUnion(names) }
        names.subtract(parameters.map(\.name))
        return MacroDefinition(name: name, parameters: parameters, body: body, implicitNames: names)
    }

    private mutating func signature() throws(TemplateFailure) -> [MacroDefinition.Parameter] {
        var parameters: [MacroDefinition.Parameter] = []
        try expect(.leftParenthesis)
        while current != .symbol(.rightParenthesis) {
            if !parameters.isEmpty { try expect(.comma) }
            let name = try expectName()
            let fallback = skip(.assign) ? try expression() : nil
            if fallback == nil, parameters.last?.fallback != nil {
                throw failure("the parameter \(name) without a default follows one with a default")
            }
            parameters.append(.init(name: name, fallback: fallback))
        }
        advance()
        return parameters
    }

    private mutating func callBlock() throws(TemplateFailure) -> TemplateStatement.Kind {
        implicitNames.append([])
        let parameters = current == .symbol(.leftParenthesis) ? try signature() : []
        let call = try expression()
        guard case .call = call.kind else { throw failure("{% call %} needs the call of a macro") }
        let body = try ownBody(until: "endcall", resetsLoop: true).statements
        return .call(call, caller: finished(name: "caller", parameters: parameters, body: body))
    }

    private mutating func filterBlock() throws(TemplateFailure) -> TemplateStatement.Kind {
        var filters = [try filterCall()]
        while skip(.pipe) { filters.append(try filterCall()) }
        return .filter(filters, body: try ownBody(until: "endfilter").statements)
    }

    private mutating func withBlock() throws(TemplateFailure) -> TemplateStatement.Kind {
        var assignments: [(target: TemplateStatement.Target, value: TemplateExpression)] = []
        while current != .blockEnd {
            if !assignments.isEmpty { try expect(.comma) }
            let target = try target(allowsAttribute: false)
            try expect(.assign)
            assignments.append((target, try expression()))
        }
        return .with(assignments, body: try ownBody(until: "endwith").statements)
    }

    /// A chat template extends nothing, so a named block stands where it is.
    private mutating func namedBlock() throws(TemplateFailure) -> TemplateStatement.Kind {
        let name = try expectName()
        _ = skip(word: "scoped")
        let body = try ownBody(until: "endblock", resetsLoop: true).statements
        _ = skip(word: name)
        return .scope(body)
    }

    /// Names, attributes of namespaces, and tuples of them.
    private mutating func target(allowsAttribute: Bool) throws(TemplateFailure) -> TemplateStatement.Target {
        var parts = [try targetPart(allowsAttribute: allowsAttribute)]
        var isTuple = false
        while skip(.comma) {
            isTuple = true
            switch current {
            case .name("in"), .symbol(.rightParenthesis), .symbol(.assign), .blockEnd: break
            default:
                parts.append(try targetPart(allowsAttribute: allowsAttribute))
                continue
            }
            break
        }
        return isTuple ? .tuple(parts) : parts[0]
    }

    private mutating func targetPart(allowsAttribute: Bool) throws(TemplateFailure) -> TemplateStatement.Target {
        if skip(.leftParenthesis) {
            blockDepth += 1
            defer { blockDepth -= 1 }
            guard blockDepth <= TemplateLimits.blockDepth else { throw failure("the target is nested too deep") }
            let inner = try target(allowsAttribute: allowsAttribute)
            try expect(.rightParenthesis)
            return inner
        }
        let name = try expectName()
        guard !["true", "false", "none", "True", "False", "None"].contains(name) else {
            throw failure("nothing can be assigned to \(name)")
        }
        if allowsAttribute, skip(.dot) { return .attribute(of: name, name: try expectName()) }
        return .name(name)
    }
}

extension TemplateToken.Kind {
    /// The token in the words of an error message.
    var text: String {
        switch self {
        case .text: "text outside of a tag"
        case .blockBegin: "{%"
        case .blockEnd: "%}"
        case .variableBegin: "{{"
        case .variableEnd: "}}"
        case .name(let name): name
        case .string: "a string"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .symbol(let symbol): symbol.rawValue
        case .end: "the end of the template"
        }
    }
}
