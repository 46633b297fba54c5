import Datasets
import Recipes
import Testing

@Test func modelAndAdapterHaveTheDefaultsOfTheDesign() throws {
    let recipe = try recipe()
    #expect(recipe.model.path == "m.gguf")
    #expect(recipe.model.quantization == .stored)
    #expect(recipe.adapter.method == .lora)
    #expect(recipe.adapter.rank == 16)
    #expect(recipe.adapter.alpha == 32 && !recipe.adapter.usesRSLoRA)
    #expect(recipe.adapter.dropout == 0)
    #expect(recipe.adapter.initialization == .kaiming)
    #expect(recipe.adapter.targetModules == .group(.allLinear))
    #expect(recipe.adapter.excludeModules.isEmpty)
    #expect(recipe.adapter.path == nil)
}

@Test func dataHasTheDefaultsOfTheDesign() throws {
    let data = try recipe().data
    #expect(data.train == [Recipe.Source(path: "d.jsonl", format: nil)])
    #expect(data.validation.isEmpty)
    #expect(data.maxLength == 1024)
    #expect(data.truncation == .error)
    #expect(data.packing)
    #expect(data.trainOn == .assistant && !data.deduplicate)
    #expect(data.train[0].weight == 1 && data.train[0].fields.isEmpty)
    #expect(data.shuffle)
    #expect(data.onError == .stop)
    #expect(data.streaming == .automatic)
}

@Test func trainingHasTheDefaultsOfTheDesign() throws {
    let training = try recipe().training
    #expect(training.length == .epochs(3))
    #expect(training.microBatch == .tokens(2048))
    #expect(training.gradientAccumulationSteps == 4)
    #expect(training.learningRate == 2e-4)
    #expect(training.schedule == .cosine)
    #expect(training.warmup == .ratio(0.03))
    #expect(training.optimizer == .adamw)
    #expect(training.betas.first == 0.9 && training.betas.second == 0.999)
    #expect(training.epsilon == 1e-8)
    #expect(training.weightDecay == 0.01)
    #expect(training.maxGradNorm == 1)
    #expect(training.precision == .automatic)
    #expect(training.recompute == .automatic)
    #expect(training.threads == .automatic)
    #expect(training.onNaN == .stop)
    #expect(training.splitTokens == .automatic)
    #expect(training.logEverySteps == 1)
    #expect(training.seed == 42)
}

@Test func evaluationCheckpointAndOutputHaveTheDefaultsOfTheDesign() throws {
    let recipe = try recipe()
    #expect(recipe.evaluation.everySteps == 0)
    #expect(recipe.evaluation.atStart)
    #expect(recipe.evaluation.bestMetric == .validationLoss)
    #expect(recipe.evaluation.earlyStopping == 0)
    #expect(recipe.checkpoint.everySteps == 100)
    #expect(recipe.checkpoint.keep == 3)
    #expect(recipe.output.directory == "runs/r")
    #expect(recipe.output.save == [.adapter])
    #expect(
        recipe
            == Recipe(
                model: .init(path: "m.gguf"), data: .init(train: [.init(path: "d.jsonl")]),
                output: .init(directory: "runs/r")))
}

@Test func anEmptySectionIsAllDefaults() throws {
    #expect(try recipe("adapter:\ntraining:\n  # epochs: 9\noutput: {}\n") == recipe())
}

@Test func aRecipeKnowsWhatItStated() throws {
    let recipe = try recipe("adapter:\n  path: a\n  alpha: 32\n", overrides: ["training.seed=42"])
    #expect(recipe.states("adapter.alpha") && recipe.states("adapter.path") && recipe.states("training.seed"))
    #expect(recipe.states("data.train.0.path"))
    #expect(!recipe.states("adapter.rank") && !recipe.states("training.epochs"))
    #expect(
        recipe.problem(with: "adapter.alpha", "is 16 in the adapter's file").description
            == "r.yaml:8:10: adapter.alpha: is 16 in the adapter's file")
    #expect(recipe.problem(with: "adapter.rank", "x").line == 7)
    #expect(recipe.problem(with: "training.seed", "x").file == "command line")
    #expect(recipe.problem(with: "output.directory", "x").description == "r.yaml: output.directory: x")
}

@Test func everyKeyIsDocumentedOnce() {
    let paths = Recipe.keys.map(\.path)
    #expect(Set(paths).count == paths.count)
    #expect(paths.count == 62)
    for key in Recipe.keys {
        #expect(!key.type.isEmpty && !key.defaultText.isEmpty && key.summary.hasSuffix("."), "\(key.path)")
    }
    func text(_ path: String) -> String? { Recipe.keys.first { $0.path == path }?.defaultText }
    #expect(text("adapter.rank") == "16")
    #expect(text("model.path") == "required")
    #expect(text("data.train[].path") == "required")
    #expect(text("training.epochs") == "3" && text("training.steps") == "not set")
    #expect(text("training.betas") == "[0.9, 0.999]")
    #expect(text("output.directory") == "runs/NAME")
}
