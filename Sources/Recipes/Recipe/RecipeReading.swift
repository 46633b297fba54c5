import Foundation

extension Recipe {
    /// Reads a recipe file.
    ///
    /// - Parameters:
    ///   - path: The file: UTF-8, one YAML document of at most 1 MB.
    ///   - overrides: Settings such as `training.steps=10` that go over those of the file, later ones over earlier
    ///     ones. The value is YAML; `data.train.0.path=x` reaches into a list. A key of an exclusive pair (`steps`)
    ///     replaces the file's other one (`epochs`).
    /// - Throws: `RecipeError` with everything that is wrong, each with its place.
    public static func read(contentsOf path: String, overrides: [String] = []) throws(RecipeError) -> Recipe {
        try Recipe(yaml: try text(of: path), file: path, overrides: overrides)
    }

    /// Reads a recipe from its text; `file` is the name that problems give, and the recipe's name.
    ///
    /// - Throws: `RecipeError` with everything that is wrong, each with its place.
    public init(yaml: String, file: String, overrides: [String] = []) throws(RecipeError) {
        let whole = RecipePlace(file: file, line: nil, column: nil)
        let text = yaml.hasPrefix("\u{FEFF}") ? String(yaml.unicodeScalars.dropFirst()) : yaml
        var root = try RecipeText.compose(text, whole: whole) { line, column in
            RecipePlace(file: file, line: line, column: column)
        }
        if root.isNull {
            throw RecipeError([
                RecipeProblem(whole, key: "", "is empty", hint: "a recipe needs model.path and data.train")
            ])
        }
        var reader = RecipeReader()
        for override in overrides {
            do {
                try RecipeOverride(override).apply(to: &root)
            } catch {
                for problem in error.problems { reader.add(problem) }
            }
        }
        self = Recipe.defaults(file: file)
        reader.section(root, "", Recipe.fields, into: &self)
        reader.requireTogether(self, at: root.place)
        places = reader.places
        if !reader.problems.isEmpty { throw RecipeError(reader.problemsToTell.inOrder()) }
    }

    /// Every default; the required keys are empty.
    static func defaults(file: String) -> Recipe {
        let name = file.split(separator: "/").last.map(String.init) ?? ""
        let stem = name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
        let run = stem.isEmpty ? "recipe" : stem
        var recipe = Recipe(model: Model(path: ""), data: Data(train: []), output: Output(directory: "runs/\(run)"))
        recipe.file = file
        return recipe
    }

    private static func text(of path: String) throws(RecipeError) -> String {
        let place = RecipePlace(file: path, line: nil, column: nil)
        func refusal(_ message: String, hint: String, missing: Bool = false) -> RecipeError {
            RecipeError([RecipeProblem(place, key: "", message, hint: hint)], isMissingFile: missing)
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw refusal("there is no such file", hint: "give the path of a recipe (.yaml)", missing: true)
        }
        if isFolder.boolValue { throw refusal("is a folder", hint: "give the path of a recipe (.yaml)") }
        let limit = RecipeText.maximumBytes
        let bytes: Foundation.Data
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? handle.close() }
            bytes = try handle.read(upToCount: limit + 1) ?? Foundation.Data()
        } catch {
            throw refusal("cannot be read", hint: "it must be a file that you may read", missing: true)
        }
        if bytes.count > limit {
            throw refusal("is larger than \(limit) bytes", hint: "a recipe is a short text; is this the right file?")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw refusal("is not UTF-8 text", hint: "save it as UTF-8; is this the right file?")
        }
        return text
    }
}

extension RecipeReader {
    mutating func add(_ problem: RecipeProblem) {
        report(
            RecipePlace(file: problem.file, line: problem.line, column: problem.column), problem.key,
            problem.message, hint: problem.hint)
    }

    /// What one key asks of another.
    fileprivate mutating func requireTogether(_ recipe: Recipe, at place: RecipePlace) {
        let knowsValidation = !problems.contains { $0.key.hasPrefix("data") }
        if knowsValidation, recipe.evaluation.earlyStopping > 0, recipe.data.validation.isEmpty {
            let key = "evaluation.early_stopping"
            report(places[key] ?? place, key, "needs validation data", hint: "name a file in data.validation")
        }
    }
}

extension [RecipeProblem] {
    /// In the order of the file, the command line last; problems of one place in the order in which they were found.
    fileprivate func inOrder() -> [RecipeProblem] {
        let none = Int.max
        return enumerated().sorted { a, b in
            (a.element.line ?? none, a.element.column ?? none, a.offset)
                < (b.element.line ?? none, b.element.column ?? none, b.offset)
        }.map(\.element)
    }
}
