import Autograd
import Datasets
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Testing
import Tokenization
import Training

/// Recipes become runs on the tiny model, or are refused with a place.
@Suite struct PreparedRunTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 1) }

    private let model = tinyModels.appendingPathComponent("llama").path
    private let adapter = tinyModels.appendingPathComponent("llama/adapter").path

    /// Writes data of token ids and hands over a recipe's text for it.
    private func withRecipe<Result>(_ more: String = "", _ body: (String, URL) throws -> Result) throws -> Result {
        try withFolder { root in
            let data = root.appendingPathComponent("d.jsonl")
            let lines = (0..<20).map { line in
                #"{"input_ids": [\#((0..<12).map { "\((line * 7 + $0 * 3) % 288)" }.joined(separator: ", "))]}"#
            }
            try Data(lines.joined(separator: "\n").utf8).write(to: data)
            let text = """
                model:
                  path: \(model)
                data:
                  max_length: 64
                  train:
                    - path: \(data.path)
                      format: tokens
                output:
                  directory: \(root.appendingPathComponent("run").path)

                """
            return try body(text + more, root)
        }
    }

    private func prepare(_ more: String, overrides: [String] = []) throws -> PreparedRun {
        try withRecipe(more) { text, _ in
            try PreparedRun(try Recipe(yaml: text, file: "r.yaml", overrides: overrides), on: compute)
        }
    }

    @Test func countsItsSteps() throws {
        let run = try prepare("training:\n  epochs: 2\n  micro_batch_tokens: 60\n  gradient_accumulation_steps: 2\n")
        // 20 examples of 12 tokens: four batches of five an epoch, two to a step.
        #expect(run.totalSteps == 4 && run.data.train.count == 20 && run.adapter.layers.count == 21)
        #expect(try prepare("training:\n  steps: 7\n").totalSteps == 7)
        #expect(run.recipe.precision == .float32)
    }

    @Test(
        arguments: try FileManager.default.contentsOfDirectory(
            atPath: repository.appendingPathComponent("recipes").path
        )
        .filter { $0.hasSuffix(".yaml") }.sorted())
    func targetsOfEveryRecipeSelectLayers(name: String) throws {
        let shipped = try Recipe.read(contentsOf: repository.appendingPathComponent("recipes/" + name).path)
        try withRecipe { text, _ in
            var recipe = try Recipe(yaml: text, file: "r.yaml")
            (recipe.adapter, recipe.training) = (shipped.adapter, shipped.training)
            #expect(recipe.adapter.path == nil)
            let run = try PreparedRun(recipe, on: compute)
            #expect(!run.adapter.layers.isEmpty && run.adapter.configuration.rank == shipped.adapter.rank)
            #expect(run.totalSteps > 0)
        }
    }

    @Test func disagreementWithAnExistingAdapterHasALine() throws {
        #expect(try prepare("adapter:\n  path: \(adapter)\n").adapter.configuration.rank == 4)
        #expect(
            try prepare("adapter:\n  path: \(adapter)\n  rank: 4\n  alpha: 8\n  dropout: 0.5\n").adapter.configuration
                .dropout == 0.5)
        let error = #expect(throws: RecipeError.self) {
            try prepare("adapter:\n  path: \(adapter)\n  rank: 8\n  alpha: 16\n  target_modules: mlp\n")
        }
        let problems = error?.problems ?? []
        #expect(problems.map(\.key) == ["adapter.rank", "adapter.alpha", "adapter.target_modules"])
        #expect(problems.map(\.line) == [12, 13, 14])
        #expect(problems.first?.message.contains("rank 4") == true && problems.first?.file == "r.yaml")
        #expect(message { _ = try prepare("adapter:\n  path: /no/such/adapter\n") }.contains("/no/such/adapter"))
    }

    /// An adapter whose layers differ is trained on as it is, stopped and resumed, and written with the same strengths.
    @Test func anAdapterWithRanksOfItsOwnGoesOn() throws {
        let source = tinyModels.appendingPathComponent("llama/adapter_patterns")
        let more = "training:\n  steps: 3\n  micro_batch_tokens: 48\nadapter:\n  path: \(source.path)\n  rank: 4\n  use_rslora: true\n"
        try withRecipe(more) { text, root in
            let prepared = try PreparedRun(try Recipe(yaml: text, file: "r.yaml"), on: compute)
            let strengths = prepared.adapter.strengths
            #expect(Set(strengths.map(\.rank)) == [2, 3, 4, 5, 6] && Set(strengths.map(\.alpha)) == [1, 3.5, 8, 16])
            let table = try prepared.parameterTable()
            #expect(table.rows.reduce(0) { $0 + $1.trained } == prepared.adapter.parameters.reduce(0) { $0 + $1.value.count })
            let folder = try RunFolder.create(
                root.appendingPathComponent("run"), recipe: Data(text.utf8),
                resolved: Data(prepared.recipe.resolvedYAML().utf8), overwrite: false)
            _ = try prepared.makeRun(in: folder).run(shouldStop: { true }, report: { _ in })
            let checkpoint = try #require(try folder.newestCheckpoint { Issue.record("\($0)") })
            let again = try PreparedRun(
                try Recipe.read(contentsOf: folder.resolvedRecipe.path), resuming: checkpoint, on: compute)
            #expect(again.adapter.strengths == strengths)
            #expect(try again.makeRun(in: folder, resuming: checkpoint).run(shouldStop: { false }, report: { _ in }) == .finished)
            try again.writeResults(to: folder, after: again.totalSteps)
            let written = try AdapterFolder(folder.adapter, on: compute).attach(to: try again.base.makeModel(on: compute).adapterTargets)
            #expect(written.strengths == strengths)
        }
        let error = #expect(throws: RecipeError.self) {
            try prepare("adapter:\n  path: \(source.path)\n  use_rslora: false\n")
        }
        #expect(error?.problems.map(\.key) == ["adapter.use_rslora"] && error?.problems.first?.line == 12)
    }

    @Test func theScaleMayDivideByTheRootOfTheRank() throws {
        for (value, scale) in [(true, 8 as Float), (false, 2)] {
            let run = try prepare("adapter:\n  alpha: 32\n  rank: 16\n  use_rslora: \(value)\n")
            #expect(run.adapter.strengths.allSatisfy { $0.scale == scale })
        }
    }

    @Test func otherMistakesAreNamed() throws {
        #expect(message { _ = try prepare("", overrides: ["model.path=/no/such/model"]) }.contains("/no/such/model"))
        #expect(
            message { _ = try prepare("", overrides: ["data.train.0.path=/no/such/data.jsonl"]) }.contains(
                "/no/such/data.jsonl"))
        #expect(message { _ = try prepare("", overrides: ["data.max_length=8"]) }.contains("8"))
    }

    @Test(arguments: [
        ("target_modules: [q_proj, v_prj]", "target_modules: \"v_prj\" matches no linear layer of this model; did you mean v_proj?"),
        ("exclude_modules: [v_prj]", "exclude_modules: \"v_prj\" matches no linear layer of this model; did you mean v_proj?"),
        ("target_modules: [qkv]", "target_modules: \"qkv\" matches no linear layer of this model; it has q_proj, k_proj,"),
        ("exclude_modules: [.*]", "target_modules: the target modules, less the excluded ones, select no layer"),
    ])
    func settingsThatDoNotFitTheModelAreNamedByTheirKey(setting: String, sentence: String) throws {
        let error = #expect(throws: RecipeError.self) { try prepare("adapter:\n  rank: 2\n  \(setting)\n") }
        let problem = try #require(error?.problems.first)
        #expect("\(problem)".contains(": adapter.\(sentence)"), "\(problem)")
        #expect(problem.file == "r.yaml" && problem.line != nil)
        if !setting.contains(".*") { #expect(problem.line == 12) }
    }

    /// A recipe trains, its resolved form resumes, and changed inputs are refused.
    @Test(arguments: [false, true]) func trainsAndResumes(fromAdapter: Bool) throws {
        let more =
            "training:\n  steps: 4\n  micro_batch_tokens: 48\n" + (fromAdapter ? "adapter:\n  path: \(adapter)\n" : "")
        try withRecipe(more) { text, root in
            let prepared = try PreparedRun(try Recipe(yaml: text, file: "r.yaml"), on: compute)
            let place = root.appendingPathComponent("run")
            func start() throws -> TrainingOutcome {
                let folder = try RunFolder.create(
                    place, recipe: Data(text.utf8), resolved: Data(prepared.recipe.resolvedYAML().utf8),
                    overwrite: false)
                return try prepared.makeRun(in: folder).run(shouldStop: { true }, report: { _ in })
            }
            #expect(try start() == .stopped)
            let folder = try RunFolder(opening: place)
            let checkpoint = try #require(try folder.newestCheckpoint { Issue.record("\($0)") })
            let resolved = try Recipe.read(contentsOf: folder.resolvedRecipe.path)
            #expect(resolved == prepared.recipe)
            let again = try PreparedRun(resolved, resuming: checkpoint, on: compute)
            #expect(again.identity == prepared.identity)
            #expect(
                try again.makeRun(in: folder, resuming: checkpoint).run(shouldStop: { false }, report: { _ in })
                    == .finished)
            try again.writeResults(to: folder, after: again.totalSteps)
            let written = try AdapterFolder(folder.adapter, on: compute)
            #expect(written.factors.count == 21 && written.configuration.rank == (fromAdapter ? 4 : 16))
            #expect(try Inspection(place.path).facts["finished"] == true && Inspection(place.path).facts["step"] == 4)
        }
    }
}
