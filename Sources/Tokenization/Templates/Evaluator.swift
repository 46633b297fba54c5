import Foundation

/// Renders one conversation. Statements are here, expressions and calls in the files beside.
final class Evaluator {
    /// One execution of a `{% generation %}` block.
    struct Generation {
        /// Start and end in Unicode scalars of the whole text.
        let span: Range<Int>
        let text: String
        /// The message that the innermost loop over messages was at, if there is one.
        let message: Int?
    }

    enum Flow { case normal, breakLoop, continueLoop }

    let clock: TemplateClock
    let limits = TemplateLimits()
    private(set) var line = 1
    private var steps = 0
    /// What was paid since the clock was last looked at.
    private var unclocked = 0
    private let start = Evaluator.processorSeconds
    private var depth = 0
    /// The text so far, and above it what is being captured by macros and blocks.
    private var outputs = [""]
    private var counted = (bytes: 0, scalars: 0)
    private(set) var generations: [Generation] = []
    private var loops: [LoopBox] = []
    private let messageIndices: [ObjectIdentifier: Int]
    /// Everything that can hold itself; emptied at the end.
    private var scopesToClear: [TemplateScope] = []
    private var namespacesToClear: [NamespaceBox] = []

    /// - Parameter messages: the message dicts in their order, to tell at which one a loop is.
    init(clock: TemplateClock, messages: [TemplateValue]) {
        self.clock = clock
        var indices: [ObjectIdentifier: Int] = [:]
        for (at, message) in messages.enumerated() {
            if case .dict(let box) = message { indices[ObjectIdentifier(box)] = at }
        }
        messageIndices = indices
    }

    func render(_ statements: [TemplateStatement], variables: [String: TemplateValue]) throws(TemplateError) -> String {
        defer {
            for scope in scopesToClear { scope.variables = [:] }
            for namespace in namespacesToClear { namespace.attributes = [] }
        }
        let root = TemplateScope(parent: nil)
        do throws(TemplateFailure) {
            for function in TemplateFunction.allCases {
                root.variables[function.rawValue] = .callable(try CallableBox(.function(function)))
            }
            root.variables.merge(variables) { $1 }
            _ = try execute(statements, in: root)
        } catch {
            throw error.error(at: line)
        }
        return outputs[0]
    }
}

// MARK: - Limits
extension Evaluator {
    func spend(_ count: Int) throws(TemplateFailure) {
        steps = steps.addingReportingOverflow(max(count, 0)).partialValue
        guard (0...limits.steps).contains(steps) else {
            throw .limit("it takes more than \(limits.steps) steps; does the template loop over too much?")
        }
        unclocked += 16 + count
        if unclocked > 2048 { try checkClock() }
    }

    // Not inlined, here and below: evaluation is recursive, and every variable of a frame counts 600 times.
    @inline(never)
    private func checkClock() throws(TemplateFailure) {
        unclocked = 0
        guard Self.processorSeconds - start <= limits.seconds else {
            throw .limit("it takes more than \(Int(limits.seconds)) seconds; does the template loop over too much?")
        }
    }

    /// Of this thread, so that a busy machine does not matter.
    private static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Accounts for work on a string.
    func charge(bytes: Int) throws(TemplateFailure) {
        try checkLength(bytes)
        try spend(bytes >> 6)
    }

    /// Accounts for work that looks up every character of a text.
    @inline(never)
    func charge(charactersOf text: String) throws(TemplateFailure) {
        try checkLength(text.utf8.count)
        try spend(text.utf8.count >> 2)
    }

    func checkLength(_ bytes: Int) throws(TemplateFailure) {
        guard bytes <= limits.stringBytes else { throw .limit("a text grows beyond \(limits.stringBytes) bytes") }
    }

    /// Accounts for a string that was just made.
    func charged(_ value: TemplateValue) throws(TemplateFailure) -> TemplateValue {
        if let text = value.text { try charge(bytes: text.utf8.count) }
        return value
    }

    func nested<Result>(_ body: () throws(TemplateFailure) -> Result) throws(TemplateFailure) -> Result {
        try enter()
        defer { depth -= 1 }
        return try body()
    }

    private func enter() throws(TemplateFailure) {
        try spend(1)
        depth += 1
        guard depth <= limits.evaluationDepth else {
            depth -= 1
            throw .limit("it is nested more than \(limits.evaluationDepth) deep; does a macro call itself without end?")
        }
    }

    /// The text of a value as `{{ value }}` prints it, paid for unless it is a text already.
    @inline(never)
    func printed(_ value: TemplateValue) throws(TemplateFailure) -> String {
        if let text = value.text { return text }
        try spend(value.extent.weight)
        let text = try value.printed
        try charge(charactersOf: text)
        return text
    }

    func keep(_ namespace: NamespaceBox) { namespacesToClear.append(namespace) }
    func at(_ line: Int) { self.line = line }
}

// MARK: - Output
extension Evaluator {
    private func write(_ text: String) throws(TemplateFailure) {
        try spend(text.utf8.count >> 6)
        outputs[outputs.count - 1] += text
        try checkLength(outputs[outputs.count - 1].utf8.count)
    }

    /// The output of `body` instead of writing it.
    func captured(_ body: () throws(TemplateFailure) -> Flow) throws(TemplateFailure) -> (text: String, flow: Flow) {
        outputs.append("")
        do throws(TemplateFailure) {
            let flow = try body()
            return (outputs.removeLast(), flow)
        } catch {
            outputs.removeLast()
            throw error
        }
    }

    /// How many Unicode scalars have reached the text itself.
    private var scalarsWritten: Int {
        let bytes = outputs[0].utf8
        let from = bytes.index(bytes.startIndex, offsetBy: counted.bytes)
        // Every byte that does not continue a character starts one.
        let more = bytes[from...].reduce(0) { $1 & 0xC0 == 0x80 ? $0 : $0 + 1 }
        counted = (bytes.count, counted.scalars + more)
        return counted.scalars
    }
}

// MARK: - Statements
extension Evaluator {
    func execute(_ statements: [TemplateStatement], in scope: TemplateScope) throws(TemplateFailure) -> Flow {
        try enter()
        defer { depth -= 1 }
        for statement in statements {
            let flow = try execute(statement, in: scope)
            if flow != .normal { return flow }
        }
        return .normal
    }

    private func execute(_ statement: TemplateStatement, in scope: TemplateScope) throws(TemplateFailure) -> Flow {
        line = statement.line
        try spend(1)
        switch statement.kind {
        case .text(let text): try write(text)
        case .output(let expression): try write(try printed(try evaluate(expression, in: scope)))
        case .loop(let loop): return try run(loop, in: scope)
        case .branch(let branches, let otherwise): return try choose(branches, otherwise, in: scope)
        case .set(let target, let value): try assign(try evaluate(value, in: scope), to: target, in: scope)
        case .setBlock(let target, let filters, let body):
            return try setBlock(target, filters, body, in: scope)
        case .macro(let definition): scope.variables[definition.name] = try macro(definition, in: scope)
        case .call(let call, let caller): try write(try printed(try value(of: call, caller: caller, in: scope)))
        case .filter(let filters, let body): return try filterBlock(filters, body, in: scope)
        case .with(let assignments, let body): return try with(assignments, body, in: scope)
        case .scope(let body): return try execute(body, in: TemplateScope(parent: scope))
        case .generation(let body): try generation(body, in: scope)
        case .breakLoop: return .breakLoop
        case .continueLoop: return .continueLoop
        }
        return .normal
    }

    private func choose(
        _ branches: [TemplateStatement.Branch], _ otherwise: [TemplateStatement], in scope: TemplateScope
    ) throws(TemplateFailure) -> Flow {
        for branch in branches {
            try spend(1)
            if try evaluate(branch.test, in: scope).isTrue { return try execute(branch.body, in: scope) }
        }
        return otherwise.isEmpty ? .normal : try execute(otherwise, in: scope)
    }

    private func setBlock(
        _ target: TemplateStatement.Target, _ filters: [FilterCall], _ body: [TemplateStatement],
        in scope: TemplateScope
    ) throws(TemplateFailure) -> Flow {
        let (text, flow) = try captured { () throws(TemplateFailure) in
            try execute(body, in: TemplateScope(parent: scope))
        }
        guard flow == .normal else { return flow }
        try assign(try apply(filters, to: .string(text), in: scope), to: target, in: scope)
        return .normal
    }

    private func filterBlock(
        _ filters: [FilterCall], _ body: [TemplateStatement], in scope: TemplateScope
    ) throws(TemplateFailure) -> Flow {
        let (text, flow) = try captured { () throws(TemplateFailure) in
            try execute(body, in: TemplateScope(parent: scope))
        }
        guard flow == .normal else { return flow }
        try write(try printed(try apply(filters, to: .string(text), in: scope)))
        return .normal
    }

    private func with(
        _ assignments: [(target: TemplateStatement.Target, value: TemplateExpression)], _ body: [TemplateStatement],
        in scope: TemplateScope
    ) throws(TemplateFailure) -> Flow {
        let inner = TemplateScope(parent: scope)
        try spend(assignments.count)
        for (target, value) in assignments { try assign(try evaluate(value, in: scope), to: target, in: inner) }
        return try execute(body, in: inner)
    }

    /// As in transformers, the start of the span is what has reached the text itself: inside of a macro it is where
    /// the macro's output will begin, wherever the block stands in it.
    private func generation(_ body: [TemplateStatement], in scope: TemplateScope) throws(TemplateFailure) {
        let (text, _) = try captured { () throws(TemplateFailure) in
            try execute(body, in: TemplateScope(parent: scope))
        }
        let start = scalarsWritten
        let span = start..<start + text.unicodeScalars.count
        generations.append(Generation(span: span, text: text, message: currentMessage))
        try write(text)
    }

    private var currentMessage: Int? {
        for loop in loops.reversed() {
            if case .dict(let box)? = loop.current, let index = messageIndices[ObjectIdentifier(box)] { return index }
        }
        return nil
    }

    func macro(_ definition: MacroDefinition, in scope: TemplateScope) throws(TemplateFailure) -> TemplateValue {
        scopesToClear.append(scope)
        return .callable(try CallableBox(.macro(definition, scope)))
    }
}

// MARK: - Assignments
extension Evaluator {
    func assign(
        _ value: TemplateValue, to target: TemplateStatement.Target, in scope: TemplateScope
    ) throws(TemplateFailure) {
        switch target {
        case .name(let name): scope.variables[name] = value
        case .attribute(let name, let attribute):
            guard case .namespace(let namespace)? = scope.lookup(name) else {
                throw .evaluation("\(name) is no namespace, so nothing can be assigned to \(name).\(attribute)")
            }
            try set(attribute, to: value, of: namespace)
        case .tuple(let targets):
            let items = try counted(value)
            guard items.count == targets.count else {
                throw .evaluation("\(items.count) values cannot be assigned to \(targets.count) names")
            }
            for (target, item) in zip(targets, items) { try assign(item, to: target, in: scope) }
        }
    }

    func set(_ name: String, to value: TemplateValue, of namespace: NamespaceBox) throws(TemplateFailure) {
        guard !name.hasPrefix("_") else {
            throw .evaluation("the attribute \(name) of a namespace may not start with an underscore")
        }
        try spend(namespace.attributes.count >> 3)
        namespace[name] = value
    }
}

// MARK: - Loops
extension Evaluator {
    private func run(_ loop: TemplateStatement.ForLoop, in scope: TemplateScope) throws(TemplateFailure) -> Flow {
        try run(loop, over: try evaluate(loop.iterable, in: scope), depth0: 0, in: scope)
    }

    private func run(
        _ loop: TemplateStatement.ForLoop, over iterable: TemplateValue, depth0: Int, in scope: TemplateScope
    ) throws(TemplateFailure) -> Flow {
        try spend((iterable.length ?? 0) >> 3)
        let items = loop.test == nil ? try iterable.iterator : try filtered(loop, try iterable.iterator, in: scope)
        let box = LoopBox(items, length: loop.test == nil ? iterable.length : nil, depth0: depth0)
        if loop.isRecursive {
            box.recursion = { [unowned self] (inner) throws(TemplateFailure) in
                try self.captured { () throws(TemplateFailure) in
                    try self.run(loop, over: inner, depth0: depth0 + 1, in: scope)
                }.text
            }
        }
        loops.append(box)
        defer { loops.removeLast() }
        var isFinished = false
        while let item = try box.advance() {
            try spend(2)
            let inner = TemplateScope(parent: scope)
            inner.variables["loop"] = .loop(box)
            try assign(item, to: loop.target, in: inner)
            let flow = try execute(loop.body, in: inner)
            if flow == .breakLoop { break }
            if flow == .normal { isFinished = true }
        }
        // Jinja takes `else` whenever no turn came to the end of the body, also after `break` and `continue`.
        guard !isFinished, !loop.otherwise.isEmpty else { return .normal }
        return try execute(loop.otherwise, in: TemplateScope(parent: scope))
    }

    private func filtered(
        _ loop: TemplateStatement.ForLoop, _ items: IteratorBox, in scope: TemplateScope
    ) throws(TemplateFailure) -> IteratorBox {
        guard let test = loop.test else { return items }
        return try IteratorBox(over: items.extent) { [unowned self] () throws(TemplateFailure) in
            while let item = try items.next() {
                try self.spend(1)
                let inner = TemplateScope(parent: scope)
                try self.assign(item, to: loop.target, in: inner)
                if try self.evaluate(test, in: inner).isTrue { return item }
            }
            return nil
        }
    }
}
