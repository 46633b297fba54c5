/// What one rendering may cost. A template comes from a stranger's file and must not hang or exhaust the machine.
struct TemplateLimits {
    /// Expressions, statements and loop turns; strings count one step per 64 bytes made or searched.
    var steps = 10_000_000
    /// The longest output or intermediate string, in bytes.
    var stringBytes = 64 << 20
    /// Nesting of expressions, blocks and macro calls while rendering.
    var evaluationDepth = 600
    /// The longest template source, in bytes.
    static let sourceBytes = 1 << 20
    /// Nesting of expressions within one template source.
    static let expressionDepth = 250
    /// Nesting of blocks within one template source.
    static let blockDepth = 60
    /// Nesting of lists, tuples, dicts and iterators.
    static let valueDepth = 600
    /// The longest `range`, as in Jinja's sandbox.
    static let rangeCount = 100_000
}
