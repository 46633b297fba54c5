import Recipes
import Testing

@Test func everyProblemIsReportedAtOnceWithItsPlace() throws {
    let yaml = """
        model:
          path: m
          quantization: 4bit
        adapter:
          rank: "16"
          rnak: 3
          rank: 5
        data:
          train: x.jsonl
        training:
          learning_rate: 1e-5x
          betas: [0.9]
        learning_rate: 1
        """
    let error = #expect(throws: RecipeError.self) { try Recipe(yaml: yaml, file: "a/r.yaml", overrides: ["seed=1"]) }
    let lines = try #require(error).description.split(separator: "\n").map(String.init)
    let expected = [
        "a/r.yaml:3:17: model.quantization: expected stored or nf4, found the text \"4bit\"; did you mean nf4?",
        "a/r.yaml:5:9: adapter.rank: expected a whole number from 1 to 4096, found the text \"16\"; write it without",
        "a/r.yaml:6:3: adapter.rnak: unknown key; did you mean rank?",
        "a/r.yaml:7:3: adapter.rank: is given twice; its first place is on line 5",
        "a/r.yaml:9:10: data.train: expected a list of one or more files, found the text \"x.jsonl\"; write it",
        "a/r.yaml:11:18: training.learning_rate: expected a number above 0, found the text \"1e-5x\"",
        "a/r.yaml:12:10: training.betas: expected a list of two numbers of 0 or more and below 1, found a list of 1",
        "a/r.yaml:13:1: learning_rate: unknown key; it belongs at training.learning_rate",
        "command line: seed: unknown key; it belongs at training.seed",
    ]
    #expect(lines.count == expected.count)
    for (line, start) in zip(lines, expected) { #expect(line.hasPrefix(start), "\(line)") }
}

@Test(arguments: Recipe.keys)
func noKeyTakesAMappingOrALongText(_ key: RecipeKey) {
    let path = key.path.replacing("[]", with: ".0")
    let found = problems(setting: "\(path)={no: 1}")
    #expect(found.contains { $0.key.hasPrefix(path) && $0.file == "command line" }, "\(found)")
    if !key.type.contains("a path") {
        let nonsense = problems(setting: "\(path)=utter nonsense (")
        #expect(nonsense.contains { $0.key == path && $0.message.contains("utter nonsense") }, "\(nonsense)")
    }
}

@Test(arguments: Recipe.keys)
func nullMeansNotSetOnlyWhereItIsAValue(_ key: RecipeKey) {
    let path = key.path.replacing("[]", with: ".0")
    var overrides = ["\(path)=null"]
    if path.hasPrefix("data.validation.0.f") { overrides.insert("data.validation.0.path=v", at: 0) }
    let found = problems(minimal, overrides: overrides)
    #expect(found.contains { $0.key == path && $0.message.contains("found no value") } != key.type.contains("null"))
}

@Test(arguments: [
    ("adapter.rank", ["0", "4097", "-1", "true"]), ("adapter.alpha", ["0", "-2"]),
    ("adapter.dropout", ["1", "-0.1", "1.5"]),
    ("adapter.method", ["dora", "none", "lorra"]), ("adapter.init", ["pissa"]), ("adapter.path", ["3", "''"]),
    ("data.train", ["[]", "{path: x}", "[x.jsonl]"]), ("data.train.0.format", ["dpo", "chats"]),
    ("data.train.0.weight", ["0", "-1", "often"]), ("data.train.0.fields", ["messages", "{message: a}", "{messages: 3}"]),
    ("data.train_on", ["[]", "[final, last]", "[final, final]", "answers", "3"]), ("data.deduplicate", ["1"]),
    ("data.validation.0.weight", ["2"]),
    ("data.max_length", ["0", "1"]), ("data.packing", ["yes", "1", "'true'"]), ("data.exclude", ["1"]),
    ("training.betas", ["[0.9, 1]", "[0.9, -1]", "[0.9, 0.99, 0.999]", "0.9", "[a, b]"]),
    ("training.epsilon", ["0"]), ("training.weight_decay", ["-0.1"]), ("training.max_grad_norm", ["-1", ".inf"]),
    ("training.warmup_ratio", ["-0.1", "1.1"]), ("training.warmup_steps", ["-1"]),
    ("training.threads", ["0", "all", "1.5"]),
    ("training.precision", ["float16", "bf16"]), ("training.on_nan", ["ignore"]), ("training.split_tokens", ["0", "all"]),
    ("training.seed", ["-1", "1.5"]),
    ("checkpoint.keep", ["0"]), ("checkpoint.every_steps", ["0"]), ("evaluation.every_steps", ["-1"]),
    ("output.save", ["[]", "adapter", "[adapter, adapter]", "[gguf]"]), ("output.directory", ["''", "2024", "true"]),
])
func whatIsOutOfRangeIsRefused(_ key: String, _ values: [String]) {
    for value in values {
        let found = problems(setting: "\(key)=\(value)")
        #expect(found.contains { $0.key.hasPrefix(key) }, "\(key)=\(value)")
    }
}

@Test func hintsSayWhatToWrite() {
    func hint(_ setting: String) -> String? { problems(setting: setting).first?.hint }
    #expect(hint("training.precision=bf16") == "did you mean bfloat16?")
    #expect(hint("adapter.method=qlora") == "write lora, and model.quantization: nf4")
    #expect(hint("training.schedule=cosin") == "did you mean cosine?")
    #expect(hint("data.train.0.format=dpo") == "did you mean preference?")
    #expect(hint("data.train.0.format=alpaca") == "did you mean instruct?")
    #expect(hint("data.train.0.fields={message: a}") == "did you mean messages?")
    #expect(hint("data.train_on=[final, thinkin]") == "did you mean thinking?")
    #expect(hint("output.directory=2024") == "put it in quotes if it is meant as text")
    #expect(hint("adapter.method=dora") == "dora is planned; this version does not have it yet")
    #expect(hint("adapter=lora") == "did you mean adapter.method?")
    #expect(hint("model=x") == "did you mean model.path?")
    #expect(hint("output.save=adapter") == "put it in brackets: [ ]")
    #expect(hint("adapter.rank=null") == "give a value or remove the key")
}

@Test func requiredKeysAreMissed() {
    #expect(problems("adapter: {}").map(\.key) == ["model.path", "data.train"])
    #expect(
        problems("model: {}\ndata:\n  train: [{format: chat}]").map(\.description) == [
            "r.yaml:1:8: model.path: is missing; a recipe cannot do without it",
            "r.yaml:3:11: data.train.0.path: is missing; a recipe cannot do without it",
        ])
}

@Test(arguments: [
    ("epochs", "steps", "training.epochs"), ("micro_batch_tokens", "micro_batch_size", "training.micro_batch_tokens"),
    ("warmup_ratio", "warmup_steps", "training.warmup_ratio"),
])
func aPairOfWhichARecipeGivesOne(_ first: String, _ second: String, _ key: String) throws {
    let both = problems(minimal + "training: {\(first): 1, \(second): 1}")
    #expect(both.map(\.key) == [key])
    #expect(both.first?.message == "excludes training.\(second)")
    #expect(problems(minimal, overrides: ["training.\(first)=1", "training.\(second)=1"]).count == 1)
    #expect(try recipe("training: {\(first): null, \(second): null}\n") == recipe())
    let replaced = try recipe("training: {\(first): 1}\n", overrides: ["training.\(second)=1"])
    #expect(try replaced == recipe("training: {\(second): 1}\n"))
    #expect(!replaced.states(key))
}

@Test func earlyStoppingNeedsValidationData() throws {
    #expect(problems(setting: "evaluation.early_stopping=2").map(\.key) == ["evaluation.early_stopping"])
    #expect(problems(setting: "evaluation.early_stopping=2").map(\.file) == ["command line"])
    let stated = problems(minimal + "evaluation:\n  early_stopping: 2\n", overrides: ["data.validation=[]"])
    #expect(stated.map(\.line) == [7])
    _ = try recipe("  validation: [{path: v}]\nevaluation: {early_stopping: 2}\n")
}

@Test func duplicateKeysAreReportedWithAllElse() {
    let yaml =
        minimal + "adapter:\n  rank: 1\n  \"rank\": 2\n  rank: 3\n  'alpha': x\n  alpha: 4\nadapter: {}\nnew: 1\n"
    let found = problems(yaml)
    #expect(
        found.map { "\($0.line ?? 0):\($0.column ?? 0) \($0.key)" }
            == [
                "8:3 adapter.rank", "9:3 adapter.rank", "10:12 adapter.alpha", "11:3 adapter.alpha", "12:1 adapter",
                "13:1 new",
            ])
    #expect(problems("a: 1\r\na: 2\r\n").contains { $0.message == "is given twice" && $0.line == 2 })
}
