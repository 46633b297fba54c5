/// The values of a call's arguments.
struct CallValues {
    var positional: [TemplateValue] = []
    var named: [(name: String, value: TemplateValue)] = []

    /// Takes a keyword argument out.
    mutating func take(_ name: String) -> TemplateValue? {
        guard let at = named.firstIndex(where: { $0.name == name }) else { return nil }
        return named.remove(at: at).value
    }

    /// The arguments in the order of the parameters' names, `nil` where one was not given.
    func bound(to names: [String], of what: String) throws(TemplateFailure) -> [TemplateValue?] {
        guard positional.count <= names.count else {
            throw .evaluation("\(what) takes at most \(names.count) arguments, not \(positional.count)")
        }
        var result: [TemplateValue?] = positional + Array(repeating: nil, count: names.count - positional.count)
        for (name, value) in named {
            guard let at = names.firstIndex(of: name) else { throw .evaluation("\(what) has no argument \(name)") }
            guard at >= positional.count else { throw .evaluation("\(what) is given \(name) twice") }
            result[at] = value
        }
        return result
    }
}

/// Global functions.
enum TemplateFunction: String, CaseIterable {
    case range, dict, namespace, cycler, joiner
    case raiseException = "raise_exception"
    case strftimeNow = "strftime_now"
}

extension Evaluator {
    func values(of arguments: CallArguments, in scope: TemplateScope) throws(TemplateFailure) -> CallValues {
        var result = CallValues()
        guard
            !arguments.positional.isEmpty || !arguments.named.isEmpty || arguments.spread != nil
                || arguments.namedSpread != nil
        else { return result }
        result.positional = try values(of: arguments.positional, in: scope)
        if let spread = arguments.spread { result.positional += try counted(try evaluate(spread, in: scope)) }
        try spend(arguments.named.count)
        for (name, expression) in arguments.named { result.named.append((name, try evaluate(expression, in: scope))) }
        if let spread = arguments.namedSpread {
            guard case .dict(let box) = try evaluate(spread, in: scope) else {
                throw .evaluation("only a dict can follow ** in a call")
            }
            try spend(box.entries.count)
            for entry in box.entries {
                guard let name = entry.key.text else {
                    throw .evaluation("the keys of a dict after ** must be strings")
                }
                result.named.append((name, entry.value))
            }
        }
        return result
    }

    @inline(never)
    func call(
        _ base: TemplateExpression, _ arguments: CallArguments, _ line: Int, in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        let callee = try evaluate(base, in: scope)
        let values = try values(of: arguments, in: scope)
        at(line)
        return try call(callee, values)
    }

    /// The call of a `call` block, with the block as `caller`.
    func value(
        of expression: TemplateExpression, caller: MacroDefinition, in scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        guard case .call(let base, let arguments) = expression.kind else { return .none }
        let callee = try evaluate(base, in: scope)
        var values = try values(of: arguments, in: scope)
        values.named.append(("caller", try macro(caller, in: scope)))
        at(expression.line)
        return try call(callee, values)
    }

    func call(_ callee: TemplateValue, _ values: CallValues) throws(TemplateFailure) -> TemplateValue {
        switch callee {
        case .undefined(let box): throw box.failure
        case .loop(let box): return try recurse(box, values)
        case .callable(let box):
            switch box.kind {
            case .function(let function): return try call(function, values)
            case .method(let name, let receiver):
                return try nested { () throws(TemplateFailure) in try callMethod(name, of: receiver, values) }
            case .macro(let definition, let scope):
                return try nested { () throws(TemplateFailure) in try call(definition, scope, values) }
            case .joiner(let separator):
                defer { box.wasCalled = true }
                return .string(box.wasCalled ? separator : "")
            }
        default: throw .evaluation("a value of type \(callee.typeName) cannot be called")
        }
    }

    private func recurse(_ box: LoopBox, _ values: CallValues) throws(TemplateFailure) -> TemplateValue {
        guard let recursion = box.recursion else {
            throw .evaluation("only a loop marked recursive can be called as loop(…)")
        }
        guard let items = try values.bound(to: ["iterable"], of: "loop")[0] else {
            throw .evaluation("loop(…) needs the items to loop over")
        }
        return .string(try recursion(items))
    }
}

// MARK: - Macros
extension Evaluator {
    private func call(
        _ macro: MacroDefinition, _ definitionScope: TemplateScope, _ values: CallValues
    ) throws(TemplateFailure) -> TemplateValue {
        // Every parameter may be searched for among the names given.
        let (searches, overflow) = macro.parameters.count.multipliedReportingOverflow(by: values.named.count)
        try spend(overflow ? Int.max : searches >> 3)
        try spend(macro.parameters.count + values.positional.count + values.named.count)
        var values = values
        let scope = TemplateScope(parent: definitionScope)
        let line = line
        let givenCount = min(values.positional.count, macro.parameters.count)
        var missing: [MacroDefinition.Parameter] = []
        for (at, parameter) in macro.parameters.enumerated() {
            if at < givenCount {
                scope.variables[parameter.name] = values.positional[at]
            } else if let value = values.take(parameter.name) {
                scope.variables[parameter.name] = value
            } else {
                missing.append(parameter)
            }
        }
        try bindImplicit(macro, &values, in: scope)
        for parameter in missing {
            let missing = TemplateValue.undefined(.other("the parameter \(parameter.name) was not given"))
            scope.variables[parameter.name] =
                try parameter.fallback.map { (fallback) throws(TemplateFailure) in
                    try evaluate(fallback, in: scope)
                } ?? missing
        }
        let text = try captured { () throws(TemplateFailure) in try execute(macro.body, in: scope) }.text
        at(line)
        return .string(text)
    }

    /// `caller`, `kwargs` and `varargs`, as far as the macro reads them; other surplus arguments are errors.
    private func bindImplicit(
        _ macro: MacroDefinition, _ values: inout CallValues, in scope: TemplateScope
    ) throws(TemplateFailure) {
        if macro.implicitNames.contains("caller") {
            scope.variables["caller"] = values.take("caller") ?? .undefined(.other("there is no call block"))
        }
        if macro.implicitNames.contains("kwargs") {
            scope.variables["kwargs"] = .dict(try DictBox(values.named.map { (.string($0.name), $0.value) }))
        } else if let (name, _) = values.named.first {
            throw .evaluation("the macro \(macro.name) has no parameter \(name)")
        }
        let surplus = Array(values.positional.dropFirst(macro.parameters.count))
        if macro.implicitNames.contains("varargs") {
            scope.variables["varargs"] = try .tuple(surplus)
        } else if !surplus.isEmpty {
            throw .evaluation("the macro \(macro.name) takes at most \(macro.parameters.count) arguments")
        }
    }
}

// MARK: - Functions
extension Evaluator {
    private func call(_ function: TemplateFunction, _ values: CallValues) throws(TemplateFailure) -> TemplateValue {
        switch function {
        case .range: return try range(values)
        case .dict: return .dict(try DictBox(try entries(values, of: "dict")))
        case .namespace:
            let namespace = NamespaceBox()
            keep(namespace)
            for (key, value) in try entries(values, of: "namespace") {
                guard let name = key.text else { throw .evaluation("the names in a namespace must be strings") }
                try set(name, to: value, of: namespace)
            }
            return .namespace(namespace)
        case .cycler:
            guard !values.positional.isEmpty else { throw .evaluation("cycler needs at least one value") }
            return .cycler(CyclerBox(try ListBox(values.positional)))
        case .joiner:
            let separator = try values.bound(to: ["sep"], of: "joiner")[0]
            return .callable(try CallableBox(.joiner(separator: try separator.map(printed) ?? ", ")))
        case .raiseException:
            let message = try values.bound(to: ["message"], of: "raise_exception")[0]
            throw TemplateFailure(kind: .refused, reason: try message.map(printed) ?? "")
        case .strftimeNow:
            let format = try values.bound(to: ["format"], of: "strftime_now")[0]
            guard let text = format?.text else { throw .evaluation("strftime_now needs a format") }
            return try charged(.string(clock.formatted(text)))
        }
    }

    private func range(_ values: CallValues) throws(TemplateFailure) -> TemplateValue {
        var numbers: [Int] = []
        for value in values.positional {
            guard case .integer(let number)? = Numeric(value) else {
                throw .evaluation("range needs integers, not a value of type \(value.typeName)")
            }
            numbers.append(number)
        }
        guard 1...3 ~= numbers.count, values.named.isEmpty else {
            throw .evaluation("range takes one to three integers")
        }
        let step = numbers.count == 3 ? numbers[2] : 1
        let (start, stop) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
        guard step != 0 else { throw .evaluation("the step of a range is zero") }
        let (distance, overflow) =
            step > 0 ? stop.subtractingReportingOverflow(start) : start.subtractingReportingOverflow(stop)
        let size = step.magnitude
        let count = distance <= 0 && !overflow ? 0 : overflow ? UInt.max : (UInt(distance) - 1) / size + 1
        guard count <= TemplateLimits.rangeCount else {
            throw .limit("a range has more than \(TemplateLimits.rangeCount) items")
        }
        return .range(PythonRange(start: start, stop: stop, count: Int(count), step: step))
    }

    /// What `dict(…)` is made of: another dict or pairs, then keywords.
    private func entries(_ values: CallValues, of what: String) throws(TemplateFailure) -> [DictBox.Entry] {
        guard values.positional.count <= 1 else { throw .evaluation("\(what) takes at most one dict") }
        try spend(values.positional.first?.extent.weight ?? 0)
        try spend(values.named.count)
        var entries: [DictBox.Entry] = []
        switch values.positional.first {
        case nil: break
        case .dict(let box)?: entries = box.entries
        case let source?:
            for pair in try counted(source) {
                let parts = try counted(pair)
                guard parts.count == 2 else { throw .evaluation("\(what) needs pairs of a key and a value") }
                entries.append((parts[0], parts[1]))
            }
        }
        return entries + values.named.map { (.string($0.name), $0.value) }
    }
}
