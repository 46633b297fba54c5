import Datasets
import Layers
public import TensorCore
import Tokenization
import Training

/// Recipe values in the terms of the libraries.
extension Recipe {
    /// Settings of new adapters.
    var adapterConfiguration: AdapterConfiguration {
        AdapterConfiguration(
            rank: adapter.rank, alpha: Float(adapter.alpha), usesRSLoRA: adapter.usesRSLoRA,
            dropout: Float(adapter.dropout), targets: adapter.targetModules.selection,
            excluded: adapter.excludeModules.isEmpty ? nil : .names(adapter.excludeModules),
            targetParameters: adapter.targetParameters)
    }

    /// Settings of the encoder. The time that templates are told is fixed, so that data do not change from day to day.
    var encodingOptions: EncodingOptions {
        EncodingOptions(
            trainOn: data.trainOn, maxLength: data.maxLength, truncation: data.truncation, now: Self.dataClock)
    }

    static let dataClock = (try? TemplateClock("2024-07-26")) ?? .current

    /// Size, packing and order of micro-batches.
    var batchOptions: BatchOptions {
        let size: BatchOptions.Size = switch training.microBatch {
        case .tokens(let count): .tokens(count)
        case .sequences(let count): .sequences(count)
        }
        return BatchOptions(
            size: size, packing: data.packing, shuffle: data.shuffle, seed: UInt64(training.seed),
            weights: data.train.map(\.weight))
    }

    /// Settings of the optimiser.
    var optimizerSettings: AdamW.Settings {
        AdamW.Settings(
            beta1: training.betas.first, beta2: training.betas.second, epsilon: training.epsilon,
            weightDecay: training.weightDecay)
    }

    /// The learning rate of every step of a run of `totalSteps`.
    func schedule(totalSteps: Int) -> LearningRateSchedule {
        let warmup = switch training.warmup {
        case .steps(let steps): steps
        case .ratio(let ratio): Int((ratio * Double(totalSteps)).rounded(.up))
        }
        return LearningRateSchedule(
            peak: training.learningRate, decay: .init(rawValue: training.schedule.rawValue) ?? .cosine,
            warmupSteps: warmup, totalSteps: totalSteps)
    }

    /// Threads to use; `nil` = as many as there are processors.
    public var threadCount: Int? {
        if case .count(let count) = training.threads { count } else { nil }
    }

    /// The precision of the run; `auto` is that of the instruction set in use.
    public var precision: Precision {
        switch training.precision {
        case .automatic: InstructionSet.current.precision
        case .float32: .float32
        case .bfloat16: .bfloat16
        }
    }
}

extension Recipe {
    /// What is wrong with the settings of a new adapter, at the key that it comes from.
    func problem(with error: AdapterError, layers: [any AdapterTarget]) -> RecipeProblem {
        switch error {
        case .noSuchModule(let name, let available):
            let areTargetsFound = (try? adapter.targetModules.selection.select(from: layers)) != nil
            let hint = nearest(to: name, in: available).map { "did you mean \($0)?" }
            return problem(
                with: areTargetsFound ? "adapter.exclude_modules" : "adapter.target_modules",
                "\(quoted(name)) matches no linear layer of this model", hint: hint ?? "it has \(available.inWords("and"))")
        case .noSuchParameter: return problem(with: "adapter.target_parameters", error.description)
        case .dropoutOverExperts: return problem(with: "adapter.dropout", error.description)
        default: return problem(with: "adapter.target_modules", error.description)
        }
    }
}

extension Recipe.TargetModules {
    var selection: ModuleSelection {
        switch self {
        case .group(let group): .group(ModuleSelection.Group(rawValue: group.rawValue) ?? .allLinear)
        case .pattern(let pattern): .pattern(pattern)
        case .names(let names): .names(names)
        }
    }
}
