import Foundation

/// A number, with Python's arithmetic. Truth values count as 0 and 1.
enum Numeric: Equatable {
    case integer(Int)
    case number(Double)

    enum Order { case before, same, after, none }

    init?(_ value: TemplateValue) {
        switch value {
        case .bool(let flag): self = .integer(flag ? 1 : 0)
        case .integer(let value): self = .integer(value)
        case .number(let value): self = .number(value)
        default: return nil
        }
    }

    var double: Double {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        }
    }

    var value: TemplateValue {
        switch self {
        case .integer(let value): .integer(value)
        case .number(let value): .number(value)
        }
    }

    static func == (a: Numeric, b: Numeric) -> Bool { order(a, b) == .same }

    static func order(_ a: Numeric, _ b: Numeric) -> Order {
        switch (a, b) {
        case (.integer(let x), .integer(let y)): return x < y ? .before : x == y ? .same : .after
        case (.number(let x), .number(let y)): return order(x, y)
        // A whole floating-point number is compared as an integer, so that large integers are not rounded.
        case (.integer(let x), .number(let y)):
            if let whole = Int(exactly: y) { return x < whole ? .before : x == whole ? .same : .after }
            return order(Double(x), y)
        case (.number, .integer):
            switch order(b, a) {
            case .before: return .after
            case .after: return .before
            case .same: return .same
            case .none: return .none
            }
        }
    }

    private static func order(_ x: Double, _ y: Double) -> Order {
        x < y ? .before : x == y ? .same : x > y ? .after : .none
    }

    static func apply(_ sign: ArithmeticOperator, _ a: Numeric, _ b: Numeric) throws(TemplateFailure) -> TemplateValue {
        if case .integer(let x) = a, case .integer(let y) = b, sign != .divide {
            return try integers(sign, x, y)
        }
        return .number(try doubles(sign, a.double, b.double))
    }

    private static func integers(
        _ sign: ArithmeticOperator, _ x: Int, _ y: Int
    ) throws(TemplateFailure) -> TemplateValue {
        let result: (partialValue: Int, overflow: Bool)
        switch sign {
        case .add: result = x.addingReportingOverflow(y)
        case .subtract: result = x.subtractingReportingOverflow(y)
        case .multiply: result = x.multipliedReportingOverflow(by: y)
        case .power: return try power(x, y)
        case .floorDivide, .modulo, .divide:
            guard y != 0 else { throw .evaluation("a number is divided by zero") }
            result = sign == .modulo ? modulo(x, y) : floorDivision(x, y)
        }
        guard !result.overflow else { throw tooLarge }
        return .integer(result.partialValue)
    }

    private static var tooLarge: TemplateFailure { .limit("an integer exceeds 64 bits") }

    private static func floorDivision(_ x: Int, _ y: Int) -> (partialValue: Int, overflow: Bool) {
        let (quotient, overflow) = x.dividedReportingOverflow(by: y)
        if overflow { return (quotient, true) }
        return (x % y != 0 && (x < 0) != (y < 0) ? quotient - 1 : quotient, false)
    }

    private static func modulo(_ x: Int, _ y: Int) -> (partialValue: Int, overflow: Bool) {
        if y == -1 { return (0, false) }
        let remainder = x % y
        return (remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y : remainder, false)
    }

    private static func power(_ base: Int, _ exponent: Int) throws(TemplateFailure) -> TemplateValue {
        if exponent < 0 { return .number(try doubles(.power, Double(base), Double(exponent))) }
        if base == 0 || base == 1 { return .integer(exponent == 0 ? 1 : base) }
        if base == -1 { return .integer(exponent % 2 == 0 ? 1 : -1) }
        guard exponent < 64 else { throw tooLarge }
        var result = 1
        for _ in 0..<exponent {
            let (product, overflow) = result.multipliedReportingOverflow(by: base)
            guard !overflow else { throw tooLarge }
            result = product
        }
        return .integer(result)
    }

    private static func doubles(_ sign: ArithmeticOperator, _ x: Double, _ y: Double) throws(TemplateFailure) -> Double
    {
        switch sign {
        case .add: return x + y
        case .subtract: return x - y
        case .multiply: return x * y
        case .power:
            if x == 0, y < 0 { throw .evaluation("zero is raised to a negative power") }
            if x < 0, y != y.rounded() { throw .evaluation("a negative number is raised to a fraction") }
            let result = pow(x, y)
            if result.isInfinite, x.isFinite, y.isFinite { throw .limit("a power is too large for a number") }
            return result
        case .divide, .floorDivide, .modulo:
            guard y != 0 else { throw .evaluation("a number is divided by zero") }
            if sign == .divide { return x / y }
            var remainder = fmod(x, y)
            if remainder != 0, (remainder < 0) != (y < 0) { remainder += y }
            if sign == .modulo { return remainder == 0 ? Double(signOf: y, magnitudeOf: 0) : remainder }
            return ((x - remainder) / y).rounded()
        }
    }
}
