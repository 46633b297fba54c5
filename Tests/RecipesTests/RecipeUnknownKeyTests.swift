import Recipes
import Testing

/// The hint for one unknown key on top of the smallest recipe.
private func hint(_ key: String, _ value: String = "1") -> String {
    problems(setting: "\(key)=\(value)").first?.hint ?? ""
}

@Test(arguments: [
    ("trainig", "training"), ("adapter.rnak", "rank"), ("adapter.droput", "dropout"), ("training.epohcs", "epochs"),
    ("training.learning_rat", "learning_rate"), ("data.train.0.pth", "path"), ("output.dir", "keys here are directory"),
    ("checkpoint.evry_steps", "every_steps"), ("learnin_rate", "training.learning_rate"),
    ("data.Shuffle", "shuffle"),
])
func theNearestKeyIsNamed(_ key: String, _ ours: String) {
    #expect(hint(key).contains(ours), "\(hint(key))")
}

@Test(arguments: [
    ("learning_rate", "training.learning_rate"), ("rank", "adapter.rank"), ("epochs", "training.epochs"),
    ("training.rank", "adapter.rank"), ("training.max_length", "data.max_length"), ("seed", "training.seed"),
    ("every_steps", "evaluation.every_steps or checkpoint.every_steps"), ("data.format", "data.train[].format"),
    ("training.checkpoint", "checkpoint"), ("model.adapter", "adapter"), ("directory", "output.directory"),
    ("use_rslora", "adapter.use_rslora"),
])
func theRightSectionIsNamed(_ key: String, _ ours: String) {
    #expect(hint(key).hasPrefix("it belongs at \(ours)"), "\(hint(key))")
}

@Test(arguments: [
    ("base_model", "model.path"), ("model_name_or_path", "model.path"), ("checkpoint_dir", "model.path"),
    ("finetuning_type", "adapter.method"), ("fine_tune_type", "adapter.method"), ("lora_r", "adapter.rank"),
    ("lora_rank", "adapter.rank"), ("adapter.r", "adapter.rank"), ("adapter.lora_r", "adapter.rank"),
    ("lora_alpha", "adapter.alpha"), ("lora_dropout", "adapter.dropout"), ("lora_target", "adapter.target_modules"),
    ("peft_use_rslora", "adapter.use_rslora"),
    ("lora_target_modules", "adapter.target_modules"), ("resume_adapter_file", "adapter.path"),
    ("datasets", "data.train"), ("eval_dataset", "data.validation"), ("train_on_inputs", "data.train_on"),
    ("assistant_only_loss", "data.train_on"), ("sequence_len", "data.max_length"), ("cutoff_len", "data.max_length"),
    ("max_seq_length", "data.max_length"), ("sample_packing", "data.packing"),
    ("per_device_train_batch_size", "training.micro_batch_size"), ("batch_size", "training.micro_batch_size"),
    ("grad_accumulation_steps", "training.gradient_accumulation_steps"), ("num_epochs", "training.epochs"),
    ("num_train_epochs", "training.epochs"), ("max_steps", "training.steps"), ("iters", "training.steps"),
    ("lr", "training.learning_rate"), ("lr_scheduler_type", "training.schedule"),
    ("num_warmup_steps", "training.warmup_steps"), ("optim", "training.optimizer"),
    ("clip_grad_norm", "training.max_grad_norm"), ("gradient_checkpointing", "training.recompute"),
    ("bf16", "training.precision"), ("dtype", "training.precision"), ("logging_steps", "training.log_every_steps"),
    ("eval_steps", "evaluation.every_steps"), ("early_stopping_patience", "evaluation.early_stopping"),
    ("save_steps", "checkpoint.every_steps"), ("save_total_limit", "checkpoint.keep"),
    ("output_dir", "output.directory"),
])
func otherToolsNamesAreTranslated(_ key: String, _ ours: String) {
    let name = key.split(separator: ".").last ?? ""
    #expect(hint(key) == "it is called \(ours) here (\(name) → \(ours))")
    #expect(Recipe.keys.contains { $0.path == ours })
}

@Test(arguments: [
    ("train_on_inputs", "false", "data.train_on: assistant"), ("train_on_inputs", "true", "data.train_on: all"),
    ("mask_prompt", "true", "data.train_on: assistant"), ("bf16", "true", "training.precision: bfloat16"),
    ("bf16", "false", "training.precision: float32"), ("gradient_checkpointing", "true", "training.recompute: blocks"),
    ("disable_gradient_checkpointing", "true", "training.recompute: none"), ("mask_history", "true", "data.train_on: last"),
])
func otherToolsSwitchesAreTranslated(_ key: String, _ value: String, _ ours: String) {
    let name = String(ours.prefix { $0 != ":" })
    #expect(hint(key, value) == "it is called \(name) here (\(key): \(value) → \(ours))")
    // What the hint says is accepted.
    #expect(problems(setting: ours.replacing(": ", with: "=")).isEmpty)
}

@Test func aKeyUnderAnotherNameIsNotMissing() {
    let found = problems("base_model: m.gguf\ndatasets: [{path: d.jsonl}]\n")
    #expect(found.map(\.key) == ["base_model", "datasets"])
    #expect(problems("adapter: {rank: 4}\ndatasets: [{path: d.jsonl}]\n").map(\.key).contains("model.path"))
}

@Test(arguments: [
    ("training.precision=fp16", "write bfloat16"), ("training.schedule=constant_with_warmup", "did you mean constant?"),
    ("data.train.0.format=openai", "did you mean chat?"),
])
func otherToolsValuesAreTranslated(_ setting: String, _ words: String) {
    #expect(problems(setting: setting).first?.hint?.hasPrefix(words) == true, "\(problems(setting: setting))")
}

@Test(arguments: [
    ("rl", "supervised"), ("stage", "supervised"), ("do_train", "martlet train"), ("use_wandb", "metrics.jsonl"),
    ("save_strategy", "checkpoint.every_steps"), ("min_lr_ratio", "falls to 0"), ("neftune_noise_alpha", "adapter.dropout"),
    ("loraplus_lr_ratio", "training.learning_rate"), ("special_tokens", "none are added"), ("system_prompt", "role system"),
    ("deepspeed", "one process"), ("adam_beta2", "training.betas"), ("save_merged", "[adapter, merged]"),
    ("group_by_length", "without padding"), ("scale", "alpha / rank"),
    ("adapter.scale", "alpha / rank"), ("load_in_4bit", "model.quantization: nf4"),
    ("val_set_size", "data.validation"), ("chat_template", "model.chat_template"), ("wandb_project", "metrics.jsonl"),
    ("resume_from_checkpoint", "--resume"), ("lora_target_linear", "all-linear"), ("use_dora", "adapter.method: dora"),
    ("evals_per_epoch", "evaluation.every_steps"), ("lora_modules_to_save", "linear layers"),
    ("adapter.<<", "merge keys"),
])
func whatHasNoCounterpartIsExplained(_ key: String, _ words: String) {
    #expect(hint(key).contains(words), "\(hint(key))")
    #expect(!hint(key).hasPrefix("it is called"))
}

@Test func anotherToolsSectionIsTranslatedKeyByKey() {
    let found = problems(
        minimal + "lora_parameters: {rank: 8, scale: 20.0, keys: [q], dropout: 0, odd: 1}\noptimizer: {lr: 1}\n")
    #expect(
        found.map(\.key) == [
            "lora_parameters.rank", "lora_parameters.scale", "lora_parameters.keys", "lora_parameters.dropout",
            "lora_parameters.odd", "optimizer.lr",
        ])
    #expect(
        found.map { $0.hint ?? "" }.map { $0.prefix(30) }.map(String.init) == [
            "it belongs at adapter.rank", "mlx-lm's scale is alpha / rank", "it is called adapter.target_mo",
            "it belongs at adapter.dropout", "a recipe has nothing like it", "it is called training.learning",
        ])
    #expect(!found.contains { $0.hint == "it is called adapter.alpha here (scale → adapter.alpha)" })
}
