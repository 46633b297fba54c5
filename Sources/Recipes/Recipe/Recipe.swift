/// A fine-tuning run as its author describes it: which base model, which adapter, which data, how to train and where
/// the results go.
///
/// Every default stands once, at the property it belongs to. A key or value whose feature this version does not have
/// is absent from the type, so that reading refuses it. Relative paths are kept as written; they are meant relative to
/// the current working directory of the process, not to the recipe's folder.
public struct Recipe: Sendable {
    /// The base model.
    public var model: Model
    /// What is trained on top of the frozen base.
    public var adapter = Adapter()
    /// What it is trained on.
    public var data: Data
    /// How it is trained.
    public var training = Training()
    /// When the validation loss is measured and what follows from it.
    public var evaluation = Evaluation()
    /// When the run's whole state is written.
    public var checkpoint = Checkpoint()
    /// Where results go.
    public var output: Output

    /// The file it was read from; empty for a recipe made in code.
    var file = ""
    /// Where each key that the file or the command line gave was written.
    var places: [String: RecipePlace] = [:]

    /// A recipe with every default, for the given base, training files and run folder.
    public init(model: Model, data: Data, output: Output) {
        self.model = model
        self.data = data
        self.output = output
    }

    /// Whether the file or the command line gave this key (`adapter.rank`, `data.train.0.path`) itself; a default is
    /// not stated.
    ///
    /// With `adapter.path`, rank, alpha and targets come from the adapter's file, and only a key that was stated can
    /// disagree with it.
    public func states(_ key: String) -> Bool { places[key] != nil }

    /// A problem with the value of a key that shows only later, when the model or the data is known; its place is where
    /// the key or the nearest section above it was written.
    public func problem(with key: String, _ message: String, hint: String? = nil) -> RecipeProblem {
        var known = key[...]
        while places[String(known)] == nil, let dot = known.lastIndex(of: ".") { known = known[..<dot] }
        let place = places[String(known)] ?? RecipePlace(file: file, line: nil, column: nil)
        return RecipeProblem(place, key: key, message, hint: hint)
    }
}

extension Recipe: Equatable {
    /// Recipes are equal when every setting is; whether a setting was stated or is a default does not count.
    public static func == (a: Recipe, b: Recipe) -> Bool {
        a.model == b.model && a.adapter == b.adapter && a.data == b.data && a.training == b.training
            && a.evaluation == b.evaluation && a.checkpoint == b.checkpoint && a.output == b.output
    }
}

extension Recipe {
    /// The base model.
    public struct Model: Sendable, Equatable {
        /// In which form the base's weights are held in memory.
        public enum Quantization: String, Sendable, CaseIterable {
            /// As they lie in the file: 16 or 32 bit, GGUF blocks or bitsandbytes' 4 bits.
            case stored
            /// Packed into 4 bits on the way in.
            case nf4
        }

        /// A Hugging Face folder or a `.gguf` file.
        public var path: String
        /// The chat template in place of the model's own: the name of one of `ChatTemplate.builtInNames`, or the path of a Jinja
        /// file; `nil` = the model's own.
        public var chatTemplate: String?
        /// In which form the base's weights are held.
        public var quantization = Quantization.stored
        /// With `nf4`: whether the scales are packed too.
        public var doubleQuantization = true
        /// With `nf4`: whether embedding and head are packed too.
        public var quantizeEmbeddings = false

        /// The model at `path`, with defaults for the rest.
        public init(path: String) { self.path = path }

        /// How the weights are packed; `nil` if they are used as they lie.
        public var packing: Packing? {
            quantization == .nf4 ? Packing(doubleQuantization: doubleQuantization, embeddings: quantizeEmbeddings) : nil
        }
    }

    /// When the validation loss is measured and what follows from it.
    public struct Evaluation: Sendable, Equatable {
        /// What decides which checkpoint is best.
        public enum Metric: String, Sendable, CaseIterable {
            /// Mean loss over the supervised tokens of the validation data; lower is better.
            case validationLoss = "validation_loss"
        }

        /// Optimiser steps between evaluations; 0 = at the end of each epoch.
        public var everySteps = 0
        /// Whether to evaluate before the first step.
        public var atStart = true
        /// What decides which checkpoint is best.
        public var bestMetric = Metric.validationLoss
        /// Evaluations without improvement after which training stops; 0 = never.
        public var earlyStopping = 0

        /// The defaults.
        public init() {}
    }

    /// When the run's whole state is written.
    public struct Checkpoint: Sendable, Equatable {
        /// Optimiser steps between checkpoints.
        public var everySteps = 100
        /// How many checkpoints stay on disk; the best one stays besides.
        public var keep = 3

        /// The defaults.
        public init() {}
    }

    /// Where results go.
    public struct Output: Sendable, Equatable {
        /// A form in which the result is written.
        public enum Form: String, Sendable, CaseIterable {
            /// A PEFT adapter.
            case adapter
            /// The base with the adapter merged in, as a Hugging Face folder.
            case merged
        }

        /// The run folder. A recipe that names none gets `runs/NAME`, NAME being the recipe's file name.
        public var directory: String
        /// What is written at the end; at least one form, none twice.
        public var save = [Form.adapter]

        /// Results in `directory`, with defaults for the rest.
        public init(directory: String) { self.directory = directory }
    }
}
