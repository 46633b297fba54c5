/// One thing that is wrong with a recipe, and where.
public struct RecipeProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// The recipe's file as it was named, or `command line` for an override.
    public let file: String
    /// The line, from 1; `nil` when the problem has no place in a file.
    public let line: Int?
    /// The column, from 1, in Unicode scalars; `nil` when the problem has no place in a file.
    public let column: Int?
    /// The key path, such as `data.train.0.path`; empty when the problem is about the whole file.
    public let key: String
    /// What was found and what was expected.
    public let message: String
    /// What to do about it, where that can be said.
    public let hint: String?

    init(_ place: RecipePlace, key: String, _ message: String, hint: String? = nil) {
        file = place.file
        line = place.line
        column = place.column
        self.key = key
        self.message = message
        self.hint = hint
    }

    /// `file:line:column: key.path: message; hint`, without the parts that there are none of.
    public var description: String {
        let place = ([file] + [line, column].compactMap { $0.map(String.init) }).joined(separator: ":")
        let text = ([message] + [hint].compactMap { $0 }).joined(separator: "; ")
        return ([place, key].filter { !$0.isEmpty } + [text]).joined(separator: ": ")
    }
}

/// Everything that is wrong with a recipe, in the order of the file, the command line last; never empty.
public struct RecipeError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The problems.
    public let problems: [RecipeProblem]
    /// Whether there is no such file, or none that may be read, rather than a wrong one.
    public let isMissingFile: Bool

    /// All problems at once; `problems` is not empty.
    public init(_ problems: [RecipeProblem], isMissingFile: Bool = false) {
        self.problems = problems
        self.isMissingFile = isMissingFile
    }

    /// One line for each problem.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// Where a piece of a recipe was written.
struct RecipePlace: Sendable, Equatable {
    var file: String
    var line: Int?
    var column: Int?

    static let commandLine = RecipePlace(file: "command line", line: nil, column: nil)

    /// For messages that point at a second place in the same file.
    var inWords: String { line.map { "on line \($0)" } ?? "on the command line" }
}
