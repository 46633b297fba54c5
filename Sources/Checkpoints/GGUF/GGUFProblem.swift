/// The ways in which a GGUF file can be wrong.
public enum GGUFProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// Not a GGUF file.
    case notGGUF
    public var description: String { "not a GGUF file" }
}
