extension Recipe {
    /// How the adapter is trained.
    public struct Training: Sendable, Equatable {
        /// How long the run is.
        public enum Length: Sendable, Equatable {
            /// Passes over the training data.
            case epochs(Int)
            /// Optimiser steps.
            case steps(Int)
        }

        /// How much goes through the model at once.
        public enum MicroBatch: Sendable, Equatable {
            /// At most this many tokens, in whole examples.
            case tokens(Int)
            /// This many sequences.
            case sequences(Int)
        }

        /// How long the learning rate rises: step k (from 1) uses `learningRate · min(1, k / warm-up steps)`.
        public enum Warmup: Sendable, Equatable {
            /// A share of all optimiser steps, 0 to 1.
            case ratio(Double)
            /// Optimiser steps.
            case steps(Int)
        }

        /// How many threads compute.
        public enum Threads: Sendable, Equatable {
            /// As many as the process may use.
            case automatic
            /// Exactly this many.
            case count(Int)

            /// How many there may be.
            public static let allowed = 1...1024
        }

        /// The decay rates of Adam's two moments, each in [0, 1).
        public struct Betas: Sendable, Equatable {
            /// Of the mean of the gradients.
            public var first = 0.9
            /// Of the mean of their squares.
            public var second = 0.999

            /// The defaults.
            public init() {}
        }

        /// How the learning rate goes on after the warm-up.
        public enum Schedule: String, Sendable, CaseIterable { case cosine, linear, constant }

        /// What turns gradients into updates.
        public enum Optimizer: String, Sendable, CaseIterable {
            /// Adam with decoupled weight decay.
            case adamw
        }

        /// The arithmetic of the matrix products.
        public enum Precision: String, Sendable, CaseIterable {
            /// `bfloat16` where the processor multiplies numbers of 16 bits faster than float32, else `float32`.
            case automatic = "auto"
            /// 32-bit operands and sums.
            case float32
            /// Operands of 16 bits: bfloat16 with 32-bit sums, or float16 where only that is fast.
            case bfloat16
        }

        /// Whether a block's activations are computed again in the backward pass instead of being kept.
        public enum Recompute: String, Sendable, CaseIterable {
            /// When memory asks for it.
            case automatic = "auto"
            /// Never.
            case none
            /// In every block.
            case blocks
        }

        /// What happens when the loss or a gradient is not a number.
        public enum NaNPolicy: String, Sendable, CaseIterable {
            /// The run stops before the step is taken.
            case stop
            /// The step is left out.
            case skip
            /// The run goes back to its last checkpoint and leaves the step out on the way from there.
            case rollback
        }

        /// How much of a micro-batch is computed at once.
        public enum SplitTokens: Sendable, Equatable {
            /// All of it, unless memory asks for less.
            case automatic
            /// All of it.
            case none
            /// At most so many tokens, in whole examples.
            case count(Int)
        }

        /// How long the run is.
        public var length = Length.epochs(3)
        /// How much goes through the model at once.
        public var microBatch = MicroBatch.tokens(2048)
        /// Micro-batches per optimiser step.
        public var gradientAccumulationSteps = 4
        /// Peak learning rate, above 0.
        public var learningRate = 2e-4
        /// How the learning rate goes on after the warm-up.
        public var schedule = Schedule.cosine
        /// How long the learning rate rises.
        public var warmup = Warmup.ratio(0.03)
        /// What turns gradients into updates.
        public var optimizer = Optimizer.adamw
        /// The decay rates of Adam's moments.
        public var betas = Betas()
        /// Added to the root of Adam's second moment, above 0.
        public var epsilon = 1e-8
        /// Decoupled weight decay per step, times the learning rate.
        public var weightDecay = 0.01
        /// Largest norm of all gradients together; 0 = no clipping.
        public var maxGradNorm = 1.0
        /// The arithmetic of the matrix products.
        public var precision = Precision.automatic
        /// Whether activations are computed again.
        public var recompute = Recompute.automatic
        /// How much of a micro-batch is computed at once.
        public var splitTokens = SplitTokens.automatic
        /// How many threads compute.
        public var threads = Threads.automatic
        /// What happens when the loss or a gradient is not a number.
        public var onNaN = NaNPolicy.stop
        /// Factor of the loss that asks routers to spread tokens over experts; 0 = off.
        public var auxLossCoefficient = 0.0
        /// Optimiser steps between lines of metrics.jsonl.
        public var logEverySteps = 1
        /// What every random choice derives from, 0 or more.
        public var seed = 42

        /// The defaults.
        public init() {}
    }
}

// The two names of each pair, as a recipe writes them. Setting nil changes nothing: the other name then holds.
extension Recipe.Training {
    /// The epochs to train, when `length` counts epochs.
    public var epochs: Int? {
        get { if case .epochs(let count) = length { count } else { nil } }
        set { if let newValue { length = .epochs(newValue) } }
    }

    /// The optimiser steps to train, when `length` counts steps.
    public var steps: Int? {
        get { if case .steps(let count) = length { count } else { nil } }
        set { if let newValue { length = .steps(newValue) } }
    }

    /// The tokens of a micro-batch, when `microBatch` counts tokens.
    public var microBatchTokens: Int? {
        get { if case .tokens(let count) = microBatch { count } else { nil } }
        set { if let newValue { microBatch = .tokens(newValue) } }
    }

    /// The sequences of a micro-batch, when `microBatch` counts sequences.
    public var microBatchSize: Int? {
        get { if case .sequences(let count) = microBatch { count } else { nil } }
        set { if let newValue { microBatch = .sequences(newValue) } }
    }

    /// The warm-up's share of the run, when `warmup` is a share.
    public var warmupRatio: Double? {
        get { if case .ratio(let share) = warmup { share } else { nil } }
        set { if let newValue { warmup = .ratio(newValue) } }
    }

    /// The warm-up's optimiser steps, when `warmup` counts steps.
    public var warmupSteps: Int? {
        get { if case .steps(let count) = warmup { count } else { nil } }
        set { if let newValue { warmup = .steps(newValue) } }
    }
}
