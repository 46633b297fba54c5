import Datasets
import Recipes
import Testing

@Test func overridesGoOverTheFile() throws {
    let recipe = try recipe(
        "adapter: {rank: 4}\n",
        overrides: [
            "adapter.rank=8", "training.learning_rate=1e-5", "data.train.0.path=a b=c.jsonl",
            "data.train[1].path=second",
            "data.validation[0].path=v", "output.save=[adapter, merged]", "training.seed=1", "training.seed=2",
            "adapter.target_modules=.*_proj", "adapter.path=", "data.train.0.format=text",
        ])
    #expect(recipe.adapter.rank == 8)
    #expect(recipe.training.learningRate == 1e-5)
    #expect(recipe.data.train == [.init(path: "a b=c.jsonl", format: .text), .init(path: "second")])
    #expect(recipe.data.validation == [.init(path: "v")])
    #expect(recipe.output.save == [.adapter, .merged])
    #expect(recipe.training.seed == 2)
    #expect(recipe.adapter.targetModules == .pattern(".*_proj"))
    #expect(recipe.adapter.path == nil)
}

@Test func anOverrideCanSupplyWhatIsMissing() throws {
    let recipe = try Recipe(
        yaml: "training: {steps: 2}", file: "x.yaml", overrides: ["model.path=m", "data.train=[{path: d}]"])
    #expect(recipe.model.path == "m" && recipe.data.train.count == 1)
}

@Test(arguments: [
    ("nonsense", "command line: \"nonsense\" is not an override; write key.path=value"),
    ("=3", "command line: \"=3\" is not an override; write key.path=value"),
    ("a..b=3", "command line: \"a..b=3\" is not an override; write key.path=value"),
    ("training.stepz=3", "command line: training.stepz: unknown key; did you mean steps?"),
    ("lora_r=3", "command line: lora_r: unknown key; it is called adapter.rank here (lora_r → adapter.rank)"),
    ("data.train.5.path=x", "command line: data.train.5.path: data.train is a list of 1; \"5\" is no place in it"),
    ("data.train.x.path=x", "command line: data.train.x.path: data.train is a list of 1; \"x\" is no place in it"),
    ("data.train.-1.path=x", "command line: data.train.-1.path: data.train is a list of 1; \"-1\" is no place in it"),
    ("data.train[5].path=x", "command line: data.train.5.path: data.train is a list of 1; \"5\" is no place in it"),
    (
        "data.train[].path=x",
        "command line: data.train[].path: [] stands for any place in the list, but an override needs one; write its number, counted from 0: data.train.0.path"
    ),
    ("model.path.x=1", "command line: model.path.x: model.path is the text \"m.gguf\" and has no keys"),
    (
        "adapter.rank=eight",
        "command line: adapter.rank: expected a whole number from 1 to 4096, found the text \"eight\""
    ),
])
func wrongOverridesAreExplained(_ override: String, _ description: String) {
    #expect(problems(setting: override).map(\.description) == [description])
}

@Test func anOverrideThatIsNotYAMLNamesItsKey() {
    let found = problems(setting: "adapter.rank=[1")
    #expect(found.map(\.key) == ["adapter.rank"])
    #expect(found.first?.line == nil)
}
