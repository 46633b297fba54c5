import Foundation
import Recipes

/// The least that a recipe needs.
let minimal = "model:\n  path: m.gguf\ndata:\n  train:\n    - path: d.jsonl\n"

/// The smallest recipe with more settings on top.
func recipe(_ more: String = "", overrides: [String] = []) throws -> Recipe {
    try Recipe(yaml: minimal + more, file: "r.yaml", overrides: overrides)
}

/// What is wrong with a text, or nothing.
func problems(_ yaml: String, overrides: [String] = []) -> [RecipeProblem] {
    do {
        _ = try Recipe(yaml: yaml, file: "r.yaml", overrides: overrides)
        return []
    } catch {
        return error.problems
    }
}

/// What is wrong with one setting on top of the smallest recipe.
func problems(setting: String) -> [RecipeProblem] { problems(minimal, overrides: [setting]) }

/// The root of the repository.
let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
