import Autograd
import Datasets
package import Layers
package import Models
package import TensorCore

/// How a run keeps within its memory, decided before its first step.
public struct MemoryChoice: Sendable {
    /// Whether blocks are computed again in the backward pass. Changes no bit.
    public let recompute: Bool
    /// Whether what attention over long sequences gave is kept then, because there is room. Changes no bit.
    public let keepsLongAttention: Bool
    /// Most tokens of a micro-batch that are computed at once; `nil` = all. Changes the last bits.
    public let splitTokens: Int?
    /// Most tokens of an evaluation that are computed at once, in whole examples.
    public let evaluationTokens: Int
    /// What the run takes then.
    public let plan: MemoryPlan
    /// What it may take; `nil` if nobody knows.
    public let limit: Int?

    /// Whether the run fits.
    public var fits: Bool { limit.map { plan.required <= $0 } ?? true }

    /// Whether it fits but for the merge at its end.
    public var trainingFits: Bool { limit.map { plan.requiredByTraining <= $0 } ?? true }

    /// What was chosen, and what it takes.
    public var description: String {
        let again = "blocks computed again in the backward pass" + (keepsLongAttention ? ", but for attention" : "")
        let blocks = recompute ? again : "all activations kept"
        let split = splitTokens.map { ", micro-batches in pieces of at most \($0) tokens" } ?? ""
        return "\(blocks)\(split): \(MemoryPlan.inWords(plan.total))"
    }
}

/// What a run may choose from to keep within its memory.
package struct MemoryPlanner {
    private let shape: NetworkShape
    private let trainedParameters: Int
    /// Tokens of the largest micro-batch and of the longest example, and how many of all training data are trained.
    package let batch, longest: Int
    private let supervised: Int
    private let validation: Validation?
    private let program: Int
    private let merging: Merging?

    package init(
        _ recipe: Recipe, _ network: any CausalLanguageModel, _ data: EncodedData, _ adapter: LoRAAdapter,
        _ compute: Compute, merging: Merging? = nil
    ) {
        self.merging = merging
        shape = NetworkShape(network, elementBytes: compute.precision.activationType.byteCount)
        trainedParameters = adapter.parameterCount()
        let all: Int
        (all, supervised) = data.trainSize
        longest = data.longest(recipe)
        let largest = switch recipe.training.microBatch {
        case .tokens(let count): max(count, longest)
        case .sequences(let count): count * longest
        }
        batch = min(all, largest)
        validation = Validation(data.validation)
        let buffers = compute.buffers.statistics
        // Weights on the heap have a part of their own.
        let elsewhere = buffers.liveBytes + buffers.pooledBytes + shape.heapWeightBytes
        program = max(0, (ProcessMemory.anonymous ?? 0) - elsewhere) + Self.codeBytes
    }

    /// The validation data, as far as they decide memory.
    private struct Validation {
        /// Tokens of the longest example and of the largest set, and the most that count in a set.
        let longest, largest, supervised: Int

        /// `nil` if there are none.
        init?(_ sets: [EncodedDataset]) {
            longest = sets.reduce(0) { max($0, Int($1.lengths.max() ?? 0)) }
            largest = sets.reduce(0) { max($0, $1.tokenCount) }
            supervised = sets.reduce(0) { max($0, $1.supervisedCount) }
            if largest == 0 { return nil }
        }
    }

    /// Most tokens of an evaluation's forward pass, beside so many in training: what fits into the memory that training
    /// takes anyway with blocks computed again. No limit decides it, nor whether blocks are computed again, so that neither
    /// changes a bit of a validation loss.
    package func evaluationTokens(beside tokens: Int) -> Int {
        let training = shape.trainingBytes(tokens: tokens, supervised: min(tokens, supervised), again: 0)
        func fits(_ count: Int) -> Bool {
            shape.evaluationBytes(tokens: count, supervised: count) <= training.kept + training.scratch
        }
        var (enough, tooMany) = (1, Self.mostEvaluationTokens + 1)
        while tooMany - enough > 1 {
            let middle = (enough + tooMany) / 2
            if fits(middle) { enough = middle } else { tooMany = middle }
        }
        return enough
    }

    /// More at once is hardly quicker.
    private static let mostEvaluationTokens = 2048

    /// Code and constants of the program and its libraries that a run touches.
    private static let codeBytes = 30 << 20

    /// The plan of a run that computes so many tokens at once.
    /// - Parameter keepsLongAttention: even where blocks are computed again.
    package func plan(recompute: Bool, keepsLongAttention: Bool = false, tokens: Int) -> MemoryPlan {
        let tokens = min(tokens, batch)
        // An example is never cut, so the longest may be larger than what is computed at once.
        let evaluation = validation.map { data in
            let batch = min(data.largest, max(data.longest, evaluationTokens(beside: tokens)))
            return (tokens: batch, supervised: min(batch, data.supervised))
        }
        return MemoryPlan(
            shape,
            MemoryPlan.Sizes(
                tokens: tokens, supervisedTokens: min(tokens, supervised),
                evaluation: evaluation,
                trainedParameters: trainedParameters, merging: merging,
                again: recompute ? (keepsLongAttention ? shape.longAttentionBytes(longest: longest) : 0) : nil),
            program: program)
    }

    /// The quickest way to train within the limit: first by computing blocks again, with their long attention if need be, then
    /// by the least number of pieces of a micro-batch. If nothing fits, what fits but for the merge at the end; else what takes the
    /// least.
    /// - Parameters:
    ///   - recompute: whether blocks are computed again; `nil` leaves it open.
    ///   - splitTokens: `.automatic` leaves it open.
    package func choose(
        recompute: Bool?, splitTokens: Recipe.Training.SplitTokens, limit: Int?
    ) -> MemoryChoice {
        var last, withoutMerge: MemoryChoice?
        for tokens in sizes(splitTokens) {
            // Pieces are only for what recomputation does not settle.
            let ways = recompute.map { [$0] } ?? (tokens == nil || splitTokens != .automatic ? [false, true] : [true])
            for (recompute, keeps) in [(false, false), (true, true), (true, false)] where ways.contains(recompute) {
                let choice = choice(recompute: recompute, keepsLongAttention: keeps, splitTokens: tokens, limit)
                if choice.fits { return choice }
                if choice.trainingFits, withoutMerge == nil { withoutMerge = choice }
                if choice.plan.total < last?.plan.total ?? .max { last = choice }
            }
        }
        return withoutMerge ?? last ?? choice(recompute: recompute ?? false, keepsLongAttention: false, splitTokens: nil, limit)
    }

    private func choice(recompute: Bool, keepsLongAttention: Bool, splitTokens: Int?, _ limit: Int?) -> MemoryChoice {
        let tokens = min(splitTokens ?? batch, batch)
        return MemoryChoice(
            recompute: recompute, keepsLongAttention: keepsLongAttention && shape.longAttentionBytes(longest: longest) > 0,
            splitTokens: splitTokens, evaluationTokens: evaluationTokens(beside: tokens),
            plan: plan(recompute: recompute, keepsLongAttention: keepsLongAttention, tokens: tokens), limit: limit)
    }

    /// Sizes of pieces to try, the largest first; `nil` is the whole micro-batch.
    private func sizes(_ splitTokens: Recipe.Training.SplitTokens) -> [Int?] {
        switch splitTokens {
        case .none: return [nil]
        case .count(let count): return [count]
        case .automatic: break
        }
        guard longest > 0, batch > longest else { return [nil] }
        let pieces = (2...batch).lazy.map { (batch + $0 - 1) / $0 }.prefix { $0 > longest }
        return [nil] + pieces.map { $0 } + [longest]
    }
}

/// A run that does not fit into the memory that it may use.
public struct MemoryProblem: Error, Sendable, CustomStringConvertible {
    /// What takes the least memory.
    public let choice: MemoryChoice

    /// One sentence with the figures.
    public var description: String {
        if choice.trainingFits { return mergeDescription }
        let parts = MemoryPlan.Part.allCases.map { "\($0.rawValue) \(MemoryPlan.inWords(choice.plan.bytes[$0] ?? 0))" }
        return
            "the run needs \(MemoryPlan.inWords(choice.plan.required)) (with a reserve; \(parts.joined(separator: ", "))), but may use \(MemoryPlan.inWords(choice.limit ?? 0)); try training.recompute=auto, training.split_tokens=auto, a smaller data.max_length or adapter.rank, model.quantization=nf4, or a higher --memory"
    }

    /// The same where the run would fit without the merge at its end.
    private var mergeDescription: String {
        let (plan, limit) = (choice.plan, MemoryPlan.inWords(choice.limit ?? 0))
        return
            "the run needs \(MemoryPlan.inWords(plan.required)) (with a reserve) to merge the adapter at its end, but may use \(limit); with output.save=[adapter] it needs \(MemoryPlan.inWords(plan.requiredByTraining)) and fits, and martlet merge can merge the adapter later"
    }
}
