/// A statement of a template, with the line on which it starts.
struct TemplateStatement: Sendable {
    indirect enum Kind: Sendable {
        case text(String)
        case output(TemplateExpression)
        case loop(ForLoop)
        case branch([Branch], otherwise: [TemplateStatement])
        case set(Target, TemplateExpression)
        case setBlock(Target, filters: [FilterCall], body: [TemplateStatement])
        case macro(MacroDefinition)
        case call(TemplateExpression, caller: MacroDefinition)
        case filter([FilterCall], body: [TemplateStatement])
        case with([(target: Target, value: TemplateExpression)], body: [TemplateStatement])
        case scope([TemplateStatement])
        case generation([TemplateStatement])
        case breakLoop
        case continueLoop
    }

    struct Branch: Sendable {
        let test: TemplateExpression
        let body: [TemplateStatement]
    }

    struct ForLoop: Sendable {
        let target: Target
        let iterable: TemplateExpression
        let test: TemplateExpression?
        let isRecursive: Bool
        let body: [TemplateStatement]
        let otherwise: [TemplateStatement]
    }

    /// What an assignment assigns to.
    indirect enum Target: Sendable {
        case name(String)
        case attribute(of: String, name: String)
        case tuple([Target])
    }

    let kind: Kind
    let line: Int
}

/// A macro, or the body of a `call` block, which is a macro named `caller`.
final class MacroDefinition: Sendable {
    struct Parameter: Sendable {
        let name: String
        let fallback: TemplateExpression?
    }

    let name: String
    let parameters: [Parameter]
    let body: [TemplateStatement]
    /// Which of the names `caller`, `varargs` and `kwargs` the body reads; only those are accepted from callers.
    let implicitNames: Set<String>

    init(name: String, parameters: [Parameter], body: [TemplateStatement], implicitNames: Set<String>) {
        self.name = name
        self.parameters = parameters
        self.body = body
        self.implicitNames = implicitNames
    }
}

/// An expression of a template.
struct TemplateExpression: Sendable {
    indirect enum Kind: Sendable {
        case constant(Constant)
        case name(String)
        case tuple([TemplateExpression])
        case list([TemplateExpression])
        case dict([(key: TemplateExpression, value: TemplateExpression)])
        case attribute(TemplateExpression, String)
        case item(TemplateExpression, TemplateExpression)
        case slice(TemplateExpression, start: TemplateExpression?, stop: TemplateExpression?, step: TemplateExpression?)
        case call(TemplateExpression, CallArguments)
        case filter(TemplateExpression, FilterCall)
        case test(TemplateExpression, TestCall)
        case negative(TemplateExpression)
        case positive(TemplateExpression)
        case not(TemplateExpression)
        case and(TemplateExpression, TemplateExpression)
        case or(TemplateExpression, TemplateExpression)
        case arithmetic(ArithmeticOperator, TemplateExpression, TemplateExpression)
        case compare(TemplateExpression, [(comparison: Comparison, value: TemplateExpression)])
        case concatenate([TemplateExpression])
        case conditional(TemplateExpression, test: TemplateExpression, otherwise: TemplateExpression?)
    }

    enum Constant: Sendable, Equatable {
        case none
        case bool(Bool)
        case integer(Int)
        case number(Double)
        case string(String)
    }

    let kind: Kind
    let line: Int
    /// How deep the tree under this expression is; the parser refuses trees that would overflow the stack.
    let depth: Int
}

enum ArithmeticOperator: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case floorDivide = "//"
    case modulo = "%"
    case power = "**"
}

enum Comparison: String, Sendable {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case isIn = "in"
    case isNotIn = "not in"
}

/// What stands in the parentheses of a call.
struct CallArguments: Sendable {
    var positional: [TemplateExpression] = []
    var named: [(name: String, value: TemplateExpression)] = []
    var spread: TemplateExpression?
    var namedSpread: TemplateExpression?

    var expressions: [TemplateExpression] {
        positional + named.map(\.value) + [spread, namedSpread].compactMap { $0 }
    }
}

/// `| name(arguments)`. An unknown name is an error only when it is reached, where Jinja does the same.
struct FilterCall: Sendable {
    let name: String
    let filter: TemplateFilter?
    let arguments: CallArguments
    let line: Int
}

/// `is name(arguments)`.
struct TestCall: Sendable {
    let name: String
    let test: TemplateTest?
    let arguments: CallArguments
}
