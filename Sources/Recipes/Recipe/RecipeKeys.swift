import Tokenization

/// The documentation of one key of a recipe.
public struct RecipeKey: Sendable, Equatable {
    /// The key path, such as `adapter.rank`; `[]` stands for the elements of a list: `data.train[].path`.
    public let path: String
    /// What the value may be, as in `a whole number from 1 to 4096`.
    public let type: String
    /// The default as a recipe writes it; `required` if there is none, `not set` for the idle key of a pair.
    public let defaultText: String
    /// One sentence on what the key does.
    public let summary: String
}

extension Recipe {
    /// Every key that a recipe may have, in the order in which recipes are written.
    public static let keys: [RecipeKey] = {
        let defaults = Recipe.defaults(file: "NAME.yaml")
        return fields.flatMap { $0.keys("", defaults) }
    }()

    /// The paths of all keys and sections.
    static let keyPaths = fields.map(\.name) + keys.map(\.path)

    static let fields: [RecipeField<Recipe>] = [
        .section("model", \.model) { Model.fields },
        .section("adapter", \.adapter) { Adapter.fields },
        .section("data", \.data) { Data.fields },
        .section("training", \.training) { Training.fields },
        .section("evaluation", \.evaluation) { Evaluation.fields },
        .section("checkpoint", \.checkpoint) { Checkpoint.fields },
        .section("output", \.output) { Output.fields },
    ]
}

extension Recipe.Model {
    static let fields: [RecipeField<Self>] = [
        .key("path", \.path, .text("a path"), required: true, "The base model: a Hugging Face folder or a .gguf file."),
        .key(
            "chat_template", \.chatTemplate, .optional(.text("a name or a path")),
            "The chat template in place of the model's own: \(ChatTemplate.builtInNames.joined(separator: ", ")), or the path of a Jinja file."),
        .key(
            "quantization", \.quantization, .choice(others: ["bnb": "nf4", "4bit": "nf4", "int4": "nf4", "none": "stored"]),
            "The form in which the base's weights are held: stored = as they lie in the file, nf4 = in 4 bits (QLoRA)."),
        .key(
            "double_quantization", \.doubleQuantization, .bool,
            "With nf4: whether the scales are packed too, which saves 0.37 bits per weight."),
        .key(
            "quantize_embeddings", \.quantizeEmbeddings, .bool,
            "With nf4: whether embedding and head are packed too; else they have 16 bits."),
    ]
}

extension Recipe.Adapter {
    static let fields: [RecipeField<Self>] = [
        .key(
            "method", \.method,
            .choice(
                planned: ["dora", "none"], others: ["full": "none"],
                explained: ["qlora": "write lora, and model.quantization: nf4"]),
            "How weights are adapted."),
        .key("rank", \.rank, .integer(1...4096), "Width of the low-rank update."),
        .key("alpha", \.alpha, .number("above 0") { $0 > 0 }, "Strength: the update is scaled by alpha / rank."),
        .key(
            "dropout", \.dropout, .number("of 0 or more and below 1") { $0 >= 0 && $0 < 1 },
            "Share of the adapter's inputs dropped during training."),
        .key(
            "use_rslora", \.usesRSLoRA, .bool,
            "Whether the update is scaled by alpha / √rank instead (rsLoRA), so that higher ranks do not weaken it."),
        .key("init", \.initialization, .choice(), "How A starts (uniform ±1/√in, as PEFT); B starts at zero."),
        .key("target_modules", \.targetModules, .targetModules, "Which linear layers get an adapter."),
        .key(
            "target_parameters", \.targetParameters, .list("parameter names", of: .text("the name of a parameter")),
            "Parameters with the weights of all experts that get one adapter over all of them, such as mlp.experts.down_proj."),
        .key("exclude_modules", \.excludeModules, .modules(), "Modules that get none all the same."),
        .key(
            "path", \.path, .optional(.text("a path")),
            "A PEFT adapter to start from; ranks, alphas and targets then come from it."),
    ]
}

extension Recipe.Data {
    static let fields: [RecipeField<Self>] = [
        .sections(
            "train", \.train, over: Recipe.Source(path: ""), isRequired: true,
            { Recipe.Source.fields + Recipe.Source.trainingFields }, "The sources to train on."),
        .sections(
            "validation", \.validation, over: Recipe.Source(path: ""), { Recipe.Source.fields },
            "The sources to measure the validation loss on; none = no evaluation."),
        .key("max_length", \.maxLength, .integer(2...1_048_576), "Longest example, in tokens."),
        .key(
            "truncation", \.truncation, .choice(),
            "What happens to a longer example; truncate cuts behind the last answer that fits."),
        .key("packing", \.packing, .bool, "Whether short examples share a batch; attention never crosses over."),
        .key(
            "train_on", \.trainOn, .trainOn,
            "Which tokens count in the loss; last = those of the last answer, a list = those parts of every answer."),
        .key("shuffle", \.shuffle, .bool, "Whether each epoch has its own order."),
        .key("deduplicate", \.deduplicate, .bool, "Whether of examples that are the same to the token only the first is used."),
        .key(
            "streaming", \.streaming, .choice(),
            "Whether training data stay on disk, tokenised once into the cache; auto = from 256 MB of files."),
        .key(
            "on_error", \.onError, .choice(),
            "What happens to a record that cannot be used; those skipped are listed in the run folder."),
    ]
}

extension Recipe.Source {
    static let fields: [RecipeField<Self>] = [
        .key(
            "path", \.path, .text("a path"), required: true,
            "A data file, a folder of them, or a pattern such as data/*.jsonl.gz."),
        .key(
            "format", \.format,
            .optional(
                .choice(others: [
                    "chat_template": "chat", "messages": "chat", "openai": "chat", "conversational": "chat", "alpaca": "instruct",
                    "dpo": "preference",
                ])),
            "What its records look like; null = found out from the first record."),
        .key("fields", \.fields, .dataFields, "Other names for the keys of the format: {messages: dialogue}."),
    ]

    /// Keys of sources that are trained on.
    static let trainingFields: [RecipeField<Self>] = [
        .key("weight", \.weight, .number("above 0") { $0 > 0 && $0 <= 10_000 }, "How often an epoch visits each record.")
    ]
}

extension Recipe.Training {
    private static let sixteenBits =
        "write bfloat16, under which float16 is used where only that is fast, or auto"
    private static let counted = ValueKind<Int>.integer(1...1_000_000_000)

    static let fields: [RecipeField<Self>] = [
        .key("epochs", \.epochs, .optional(.integer(1...1_000_000)), insteadOf: "steps", "Passes over the data."),
        .key("steps", \.steps, .optional(counted), insteadOf: "epochs", "Optimiser steps, instead of epochs."),
        .key(
            "micro_batch_tokens", \.microBatchTokens, .optional(.integer(1...16_777_216)),
            insteadOf: "micro_batch_size", "Most tokens that go through the model at once."),
        .key(
            "micro_batch_size", \.microBatchSize, .optional(.integer(1...65_536)), insteadOf: "micro_batch_tokens",
            "Sequences that go through the model at once, instead of tokens."),
        .key(
            "gradient_accumulation_steps", \.gradientAccumulationSteps, .integer(1...65_536),
            "Micro-batches per optimiser step."),
        .key("learning_rate", \.learningRate, .number("above 0") { $0 > 0 }, "Peak learning rate."),
        .key(
            "schedule", \.schedule, .choice(others: ["constant_with_warmup": "constant", "cosine_with_warmup": "cosine"]),
            "How the learning rate goes on after the warm-up."),
        .key(
            "warmup_ratio", \.warmupRatio, .optional(.number("from 0 to 1") { $0 >= 0 && $0 <= 1 }),
            insteadOf: "warmup_steps", "Share of all steps during which the learning rate rises."),
        .key(
            "warmup_steps", \.warmupSteps, .optional(.integer(0...1_000_000_000)), insteadOf: "warmup_ratio",
            "Steps during which the learning rate rises, instead of a share."),
        .key(
            "optimizer", \.optimizer, .choice(others: ["adam": "adamw", "adamw_torch": "adamw", "adamw_hf": "adamw"]),
            "What turns gradients into updates."),
        .key("betas", \.betas, .betas, "Decay rates of Adam's two moments."),
        .key("epsilon", \.epsilon, .number("above 0") { $0 > 0 }, "Added to the root of Adam's second moment."),
        .key("weight_decay", \.weightDecay, .number("of 0 or more") { $0 >= 0 }, "Decoupled weight decay."),
        .key(
            "max_grad_norm", \.maxGradNorm, .number("of 0 or more") { $0 >= 0 },
            "Largest norm of all gradients together; 0 = no clipping."),
        .key(
            "precision", \.precision,
            .choice(
                others: ["bf16": "bfloat16", "fp32": "float32", "f32": "float32"],
                explained: ["fp16": sixteenBits, "float16": sixteenBits, "half": sixteenBits]),
            "Arithmetic of the matrix products; auto = bfloat16 where the processor multiplies numbers of 16 bits faster than float32."),
        .key(
            "recompute", \.recompute, .choice(),
            "Whether blocks are computed again in the backward pass to save memory; results are the same."),
        .key(
            "split_tokens", \.splitTokens, .splitTokens,
            "Most tokens of a micro-batch that are computed at once, in whole examples; auto = all, unless memory asks for less."),
        .key("threads", \.threads, .threads, "Threads that compute; results are the same for any number."),
        .key(
            "on_nan", \.onNaN, .choice(),
            "What happens when loss or gradient is not a number: stop, leave the step out, or go back to the last checkpoint and leave it out from there."),
        .key(
            "aux_loss_coefficient", \.auxLossCoefficient, .number("of 0 or more") { $0 >= 0 },
            "Factor of the loss that asks routers to spread tokens over experts; 0 = off."),
        .key("log_every_steps", \.logEverySteps, counted, "Optimiser steps between lines of metrics.jsonl."),
        .key("seed", \.seed, .integer(0...Int.max), "What every random choice derives from."),
    ]
}

extension Recipe.Evaluation {
    static let fields: [RecipeField<Self>] = [
        .key(
            "every_steps", \.everySteps, .integer(0...1_000_000_000),
            "Optimiser steps between evaluations; 0 = at the end of each epoch."),
        .key("at_start", \.atStart, .bool, "Whether to evaluate before the first step."),
        .key(
            "best_metric", \.bestMetric, .choice(others: ["loss": "validation_loss", "eval_loss": "validation_loss"]),
            "What decides which checkpoint is best."),
        .key(
            "early_stopping", \.earlyStopping, .integer(0...1_000_000),
            "Evaluations without improvement after which training stops; 0 = never. The best of them is checkpoints/best."),
    ]
}

extension Recipe.Checkpoint {
    static let fields: [RecipeField<Self>] = [
        .key("every_steps", \.everySteps, .integer(1...1_000_000_000), "Optimiser steps between checkpoints."),
        .key("keep", \.keep, .integer(1...1_000_000), "How many checkpoints stay on disk."),
    ]
}

extension Recipe.Output {
    static let fields: [RecipeField<Self>] = [
        .key(
            "directory", \.directory, .text("a path"), "The run folder; without it runs/ and the recipe file's name."),
        .key("save", \.save, .forms, "What is written at the end: the adapter, the merged model, or both."),
    ]
}
