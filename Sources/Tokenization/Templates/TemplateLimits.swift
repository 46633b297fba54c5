/// What one rendering may cost. A template comes from a stranger's file and must not hang or exhaust the machine.
struct TemplateLimits {
    /// Expressions, statements and loop turns; strings count one step per 64 bytes made or searched.
    var steps = 3_000_000
    /// Seconds of the thread's processor time: the last resort where a step takes long. A render takes milliseconds.
    var seconds = 10.0
    /// The longest output or intermediate string, in bytes.
    var stringBytes = 16 << 20
    /// Nesting of expressions, blocks and macro calls while rendering.
    var evaluationDepth = 500
    /// The longest template source, in bytes.
    static let sourceBytes = 1 << 20
    /// Nesting of expressions within one template source.
    static let expressionDepth = 250
    /// Nesting of blocks within one template source.
    static let blockDepth = 60
    /// Nesting of lists, tuples, dicts and iterators.
    static let valueDepth = 600
    /// Items in a value if it were written out, also where the same list stands in many places; a text counts one
    /// more per 64 bytes.
    static let valueWeight = 1_000_000
    /// The longest `range`, as in Jinja's sandbox.
    static let rangeCount = 100_000
}
