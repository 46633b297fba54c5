/// Where a record stands: what a message names it by.
public struct RecordPlace: Sendable, Hashable, CustomStringConvertible {
    /// The file; empty if it did not come from one.
    public let file: String
    /// The line where it starts, counted from 1; 0 if it did not come from a file.
    public let line: Int

    /// Names a record.
    public init(file: String = "", line: Int = 0) { (self.file, self.line) = (file, line) }

    /// `file:line`.
    public var description: String { line > 0 ? "\(file):\(line)" : file.isEmpty ? "a record in memory" : file }
}
