import Foundation
import Recipes
import Testing

private func read(_ yaml: String) throws -> Recipe { try Recipe(yaml: yaml, file: "resolved.yaml") }

@Test func theResolvedRecipeReadsAsTheSame() throws {
    let recipes = try [
        recipe(),
        recipe("training: {steps: 5, micro_batch_size: 3, warmup_steps: 0, betas: [0, 0.5], epsilon: 1e-30}\n"),
        recipe("adapter: {target_modules: [a, '.*b'], exclude_modules: ['x.*y'], dropout: 0.3333333333333333}\n"),
        recipe("adapter: {target_modules: '.*\\.(q|v)_proj'}\noutput: {save: [merged], directory: '5'}\n"),
        recipe("  train_on: [tool_calls, final]\n  deduplicate: true\n", overrides: ["data.train.0.weight=0.25", "data.train.0.fields={messages: 'a: b', tools: t}", "data.train.0.format=sharegpt"]),
        recipe("adapter: {path: a, rank: 4, alpha: 0.1}\ntraining: {max_grad_norm: 1e20, threads: 3}\n"),
    ]
    for recipe in recipes {
        let again = try read(recipe.resolvedYAML())
        #expect(again == recipe)
        #expect(again.resolvedYAML() == recipe.resolvedYAML())
    }
}

@Test(arguments: [
    "plain/path-1.gguf", "a b", "# not a comment", "a: b", "- dash", "null", "true", "1e5", "007", "*star", "&and",
    "quote\"d", "back\\slash", "line\nbreak", "tab\t", "é ü 漢字 🙂", "\u{85}\u{2028}\u{FEFF}x", " leading", "trailing ",
    "{brace}", "[bracket]", "%percent", "@at", "`tick", "!bang", "a'b", "~", "-", "---", "é", "\u{F0061}bc",
    "\u{10FFFF}",
])
func anyTextSurvives(_ text: String) throws {
    var recipe = try recipe()
    recipe.model.path = text
    recipe.adapter.path = text
    #expect(try read(recipe.resolvedYAML()) == recipe)
}

@Test func theResolvedRecipeHasEveryKey() throws {
    let lines = try recipe("  validation: [{path: v}]\n").resolvedYAML().split(separator: "\n")
    let keys = lines.map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " -")).prefix { $0 != ":" } }
    let idle = ["training.steps", "training.micro_batch_size", "training.warmup_steps"]
    let expected = Recipe.keys.map(\.path).filter { !idle.contains($0) }
    for path in expected { #expect(keys.contains { path.hasSuffix($0) }, "\(path)") }
    #expect(keys.count == expected.count + 7)
}

@Test func whatComesFromTheAdaptersFileIsNotStated() throws {
    let yaml = try recipe("adapter: {path: a, alpha: 8}\n").resolvedYAML()
    #expect(yaml.contains("alpha: 8") && !yaml.contains("rank:") && !yaml.contains("target_modules"))
    #expect(try !read(yaml).states("adapter.rank"))
}

@Test func equalityLooksAtEverySection() throws {
    let plain = try recipe()
    for setting in [
        "model.path=x", "adapter.rank=2", "data.train.0.weight=2", "data.train.0.fields={text: t}", "data.train_on=[final]",
        "data.deduplicate=true", "data.packing=false", "training.seed=1", "evaluation.at_start=false",
        "checkpoint.keep=9", "output.directory=x",
    ] {
        #expect(try recipe(overrides: [setting]) != plain, "\(setting)")
    }
}

@Test func everyShippedRecipeLoads() throws {
    let folder = repository.appendingPathComponent("recipes")
    let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".yaml") }
    #expect(files.contains("quickstart.yaml") && files.count >= 3)
    for file in files {
        let path = folder.appendingPathComponent(file).path
        let recipe = try Recipe.read(contentsOf: path)
        #expect(try read(recipe.resolvedYAML()) == recipe)
        #expect(recipe.output.directory == "runs/\(file.dropLast(5))", "the run folder has the recipe's name")
        #expect(!recipe.model.path.hasPrefix("/"), "paths are relative to the repository")
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.contains("martlet train recipes/\(file)"), "\(file) starts with the command that runs it")
    }
}
