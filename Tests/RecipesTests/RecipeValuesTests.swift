import Datasets
import Recipes
import Testing

@Test func everyKeyTakesAnotherValue() throws {
    let all = try recipe(
        """
          validation: [{path: v.jsonl, format: text}]
          max_length: 64
          truncation: drop
          packing: false
          train_on: last
          shuffle: False
          on_error: skip
        adapter:
          method: lora
          rank: 8
          alpha: 12.5
          dropout: 0.25
          use_rslora: true
          init: kaiming
          target_modules: [q_proj, self_attn.v_proj]
          exclude_modules: [lm_head]
          path: some/adapter
        training:
          steps: 1_000
          micro_batch_size: 2
          gradient_accumulation_steps: 1
          learning_rate: 1e-5
          schedule: linear
          warmup_steps: 7
          optimizer: adamw
          betas: [0, 0.95]
          epsilon: 1.0e-6
          weight_decay: 0
          max_grad_norm: 0
          precision: bfloat16
          recompute: none
          threads: 2
          split_tokens: 512
          on_nan: rollback
          log_every_steps: 10
          seed: 0
        evaluation: {every_steps: 5, at_start: false, best_metric: validation_loss, early_stopping: 2}
        checkpoint: {every_steps: 9, keep: 1}
        output: {directory: out, save: [merged, adapter]}
        """)
    #expect(all.data.validation == [.init(path: "v.jsonl", format: .text)])
    #expect(all.data.maxLength == 64 && all.data.truncation == .drop && !all.data.packing)
    #expect(all.data.trainOn == .last && !all.data.shuffle && all.data.onError == .skip)
    #expect(all.adapter.rank == 8 && all.adapter.alpha == 12.5 && all.adapter.dropout == 0.25 && all.adapter.usesRSLoRA)
    #expect(all.adapter.targetModules == .names(["q_proj", "self_attn.v_proj"]))
    #expect(all.adapter.excludeModules == ["lm_head"] && all.adapter.path == "some/adapter")
    let training = all.training
    #expect(training.length == .steps(1000) && training.steps == 1000 && training.epochs == nil)
    #expect(training.microBatch == .sequences(2) && training.gradientAccumulationSteps == 1)
    #expect(training.learningRate == 1e-5 && training.schedule == .linear && training.warmup == .steps(7))
    #expect(training.betas.first == 0 && training.betas.second == 0.95 && training.epsilon == 1e-6)
    #expect(training.weightDecay == 0 && training.maxGradNorm == 0 && training.precision == .bfloat16)
    #expect(training.recompute == .none && training.threads == .count(2) && training.logEverySteps == 10)
    #expect(training.seed == 0 && training.onNaN == .rollback && training.splitTokens == .count(512))
    #expect(all.evaluation.everySteps == 5 && !all.evaluation.atStart && all.evaluation.earlyStopping == 2)
    #expect(all.checkpoint.everySteps == 9 && all.checkpoint.keep == 1)
    #expect(all.output.directory == "out" && all.output.save == [.merged, .adapter])
}

@Test(arguments: [
    ("1e-5", 1e-5), ("2e-4", 2e-4), ("1E-5", 1e-5), ("1.5e+0", 1.5), ("3", 3), ("1_000", 1000), ("1_000.5", 1000.5),
    (".5", 0.5), ("1.", 1), ("+0.25", 0.25), ("007", 7),
])
func numbersAreRead(_ text: String, _ value: Double) throws {
    #expect(try recipe(overrides: ["training.learning_rate=\(text)"]).training.learningRate == value)
}

@Test(arguments: [
    "1e-5x", "'1e-5'", "1e", "0x10", "1__0", "_1", "1_", "one", "", "~", "null", "true", ".inf", "-.inf", ".nan", "nan",
    "1e400", "1e39", "1e-60", "0", "-1", "1,5", "1 e-5", "{}", "[]", "- 1", "!!str 1",
])
func whatIsNoLearningRateIsRefused(_ text: String) {
    let found = problems(setting: "training.learning_rate=\(text)")
    #expect(found.map(\.key) == ["training.learning_rate"])
    #expect(found.first?.message.hasPrefix("expected a number above 0, found ") == true, "\(found)")
}

@Test(arguments: [("1_000", 1000), ("+5", 5), ("0012", 12)])
func wholeNumbersAreRead(_ text: String, _ value: Int) throws {
    #expect(try recipe(overrides: ["training.steps=\(text)"]).training.steps == value)
}

@Test(arguments: ["1.5", "1e3", "0", "-1", "99999999999999999999", "10000000000", "'5'", "five", "yes", "[1]"])
func whatIsNoNumberOfStepsIsRefused(_ text: String) {
    #expect(problems(setting: "training.steps=\(text)").map(\.key) == ["training.steps"])
}

@Test(arguments: [
    ("all-linear", Recipe.TargetModules.group(.allLinear)), ("attention", .group(.attention)), ("mlp", .group(.mlp)),
    ("experts", .group(.experts)), ("shared-experts", .group(.sharedExperts)), ("router", .group(.router)),
    (".*\\.(q|v)_proj", .pattern(".*\\.(q|v)_proj")),
    ("model.layers.0.mlp.up_proj", .pattern("model.layers.0.mlp.up_proj")),
    ("[q_proj]", .names(["q_proj"])), ("[q_proj, '.*mlp.*']", .names(["q_proj", ".*mlp.*"])),
])
func targetModulesAreGroupsPatternsOrNames(_ text: String, _ value: Recipe.TargetModules) throws {
    #expect(try recipe(overrides: ["adapter.target_modules=\(text)"]).adapter.targetModules == value)
}

@Test(arguments: [
    ("all_linear", "did you mean all-linear?"),
    ("q_proj", "write [q_proj]"), ("'(q_proj'", "not a valid regular expression"), ("[]", "an empty list"),
    ("[attention]", "a group stands alone"), ("['(']", "not a valid regular expression"), ("3", "found 3"),
    ("null", "found no value"), ("{a: b}", "found a mapping"), ("[1]", "found 1"),
])
func whatReachesNoModulesIsRefused(_ text: String, _ words: String) {
    let found = problems(setting: "adapter.target_modules=\(text)")
    #expect(found.count == 1)
    #expect(found.first?.description.contains(words) == true, "\(found)")
}

@Test func anAdapterToStartFromNeedsNothingElse() throws {
    let recipe = try Recipe(
        yaml: """
            model:
              path: /base
            adapter:
              method: lora
              path: /base/lora
            data:
              train:
                - path: /work/ids.jsonl
                  format: tokens
              shuffle: false
              packing: false
            training:
              steps: 10
              micro_batch_size: 2
              gradient_accumulation_steps: 1
              learning_rate: 1e-3
              schedule: constant
              warmup_ratio: 0
              weight_decay: 0.01
              max_grad_norm: 0
              precision: float32
            output:
              directory: /work/run
            """, file: "r.yaml")
    #expect(recipe.adapter.path == "/base/lora" && !recipe.states("adapter.rank") && recipe.states("adapter.method"))
    #expect(recipe.data.train == [.init(path: "/work/ids.jsonl", format: .tokens)])
    #expect(recipe.training.warmup == .ratio(0) && recipe.training.maxGradNorm == 0)
    #expect(recipe.training.schedule == .constant && recipe.training.precision == .float32)
}
