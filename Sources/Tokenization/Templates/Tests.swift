/// The tests that `is` knows, under Jinja's names.
enum TemplateTest: String, CaseIterable {
    case odd, even, divisibleby, defined, undefined, filter, test, none, boolean, integer, float, lower, upper, string
    case mapping, number, sequence, iterable, callable, sameas, escaped
    case isFalse = "false"
    case isTrue = "true"
    case isIn = "in"
    case equalSign = "=="
    case eq, equalto
    case notEqualSign = "!="
    case ne
    case greaterSign = ">"
    case gt, greaterthan
    case greaterOrEqualSign = ">="
    case ge
    case lessSign = "<"
    case lt, lessthan
    case lessOrEqualSign = "<="
    case le

    /// The comparison that the test makes with its argument.
    fileprivate var comparison: Comparison? {
        switch self {
        case .equalSign, .eq, .equalto: .equal
        case .notEqualSign, .ne: .notEqual
        case .greaterSign, .gt, .greaterthan: .greater
        case .greaterOrEqualSign, .ge: .greaterOrEqual
        case .lessSign, .lt, .lessthan: .less
        case .lessOrEqualSign, .le: .lessOrEqual
        case .isIn: .isIn
        default: nil
        }
    }
}

extension Evaluator {
    func holds(
        _ test: TemplateTest, _ value: TemplateValue, _ arguments: CallValues
    ) throws(TemplateFailure) -> Bool {
        if let comparison = test.comparison {
            return try compare(comparison, value, try only(arguments, of: test))
        }
        switch test {
        case .divisibleby: return try remainder(value, by: try only(arguments, of: test)).equals(.integer(0))
        case .sameas: return value.isSame(as: try only(arguments, of: test))
        default: break
        }
        guard arguments.positional.isEmpty, arguments.named.isEmpty else {
            throw .evaluation("the test \(test.rawValue) takes no argument")
        }
        switch test {
        case .odd: return try remainder(value, by: .integer(2)).equals(.integer(1))
        case .even: return try remainder(value, by: .integer(2)).equals(.integer(0))
        case .filter, .test:
            try requireKey(value)
            guard let name = value.text else { return false }
            return test == .filter ? TemplateFilter(rawValue: name) != nil : TemplateTest(rawValue: name) != nil
        case .lower: return try searchable(value).isAllCased(upper: false)
        case .upper: return try searchable(value).isAllCased(upper: true)
        default: return value.isOf(test)
        }
    }

    /// The text of a value that is about to be searched through.
    private func searchable(_ value: TemplateValue) throws(TemplateFailure) -> String {
        let text = try printed(value)
        try charge(charactersOf: text)
        return text
    }

    private func only(_ arguments: CallValues, of test: TemplateTest) throws(TemplateFailure) -> TemplateValue {
        guard let value = try arguments.bound(to: ["value"], of: "the test \(test.rawValue)")[0] else {
            throw .evaluation("the test \(test.rawValue) needs an argument")
        }
        return value
    }

    private func remainder(_ value: TemplateValue, by divisor: TemplateValue) throws(TemplateFailure) -> TemplateValue {
        try arithmetic(.modulo, value, divisor)
    }
}

extension TemplateValue {
    /// The tests that ask for the kind of a value.
    fileprivate func isOf(_ test: TemplateTest) -> Bool {
        switch (test, self) {
        case (.defined, .undefined): false
        case (.defined, _): true
        case (.undefined, .undefined), (.none, .none), (.boolean, .bool): true
        case (.isTrue, .bool(let flag)): flag
        case (.isFalse, .bool(let flag)): !flag
        case (.integer, .integer), (.float, .number): true
        case (.number, .bool), (.number, .integer), (.number, .number): true
        case (.string, .string), (.string, .markup), (.escaped, .markup): true
        case (.mapping, .dict): true
        case (.callable, .callable), (.callable, .loop), (.callable, .undefined): true
        case (.sequence, .string), (.sequence, .markup), (.sequence, .list), (.sequence, .tuple): true
        case (.sequence, .dict), (.sequence, .range), (.sequence, .undefined): true
        case (.iterable, .none), (.iterable, .bool), (.iterable, .integer), (.iterable, .number): false
        case (.iterable, .namespace), (.iterable, .callable), (.iterable, .cycler): false
        case (.iterable, _): true
        default: false
        }
    }
}
