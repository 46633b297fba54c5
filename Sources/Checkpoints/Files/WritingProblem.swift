/// What a writer refuses because the file would be wrong.
public enum WritingProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// Two tensors of the same name were declared.
    case duplicateName(String)
    public var description: String { "duplicate" }
}
