import Autograd
import Datasets
package import Layers
package import Models
package import TensorCore

/// How a run keeps within its memory, decided before its first step.
public struct MemoryChoice: Sendable {
    /// Whether blocks are computed again in the backward pass. Changes no bit.
    public let recompute: Bool
    /// Most tokens of a micro-batch that are computed at once; `nil` = all. Changes the last bits.
    public let splitTokens: Int?
    /// What the run takes then.
    public let plan: MemoryPlan
    /// What it may take; `nil` if nobody knows.
    public let limit: Int?

    /// Whether the run fits.
    public var fits: Bool { limit.map { plan.required <= $0 } ?? true }

    /// What was chosen, and what it takes.
    public var description: String {
        let blocks = recompute ? "blocks computed again in the backward pass" : "all activations kept"
        let split = splitTokens.map { ", micro-batches in pieces of at most \($0) tokens" } ?? ""
        return "\(blocks)\(split): \(MemoryPlan.inWords(plan.total))"
    }
}

/// What a run may choose from to keep within its memory.
package struct MemoryPlanner {
    let network: any CausalLanguageModel
    let trainedParameters: Int
    /// Tokens of the largest micro-batch, of the longest example and of all training data, and how many are trained.
    package let batch, longest: Int
    let all, supervised: Int
    let elementBytes, program: Int

    package init(
        _ recipe: Recipe, _ network: any CausalLanguageModel, _ data: EncodedData, _ adapter: LoRAAdapter,
        _ compute: Compute
    ) {
        self.network = network
        trainedParameters = adapter.parameters.reduce(0) { $0 + $1.value.count }
        (all, supervised) = data.trainSize
        longest = data.longest(recipe)
        let largest = switch recipe.training.microBatch {
        case .tokens(let count): max(count, longest)
        case .sequences(let count): count * longest
        }
        batch = min(all, largest)
        elementBytes = compute.precision.activationType.byteCount
        let buffers = compute.buffers.statistics
        program = max(0, (ProcessMemory.anonymous ?? 0) - buffers.liveBytes - buffers.pooledBytes) + Self.codeBytes
    }

    /// Code and constants of the program and its libraries that a run touches.
    private static let codeBytes = 30 << 20

    /// The plan of a run that computes so many tokens at once.
    package func plan(recompute: Bool, tokens: Int) -> MemoryPlan {
        let tokens = min(tokens, batch)
        return MemoryPlan(
            network,
            MemoryPlan.Sizes(
                tokens: tokens, supervisedTokens: min(tokens, supervised),
                distinctTokens: min(all, network.vocabularySize), trainedParameters: trainedParameters,
                recompute: recompute, elementBytes: elementBytes),
            program: program)
    }

    /// The quickest way to train within the limit: first by computing blocks again, then by the least number of pieces of
    /// a micro-batch. If nothing fits, what takes the least.
    /// - Parameters:
    ///   - recompute: whether blocks are computed again; `nil` leaves it open.
    ///   - splitTokens: `.automatic` leaves it open.
    ///   - maySplit: whether pieces give the same mathematics.
    package func choose(
        recompute: Bool?, splitTokens: Recipe.Training.SplitTokens, maySplit: Bool, limit: Int?
    ) -> MemoryChoice {
        var last: MemoryChoice?
        for tokens in sizes(splitTokens, maySplit: maySplit) {
            // Pieces are only for what recomputation does not settle.
            let ways = recompute.map { [$0] } ?? (tokens == nil || splitTokens != .automatic ? [false, true] : [true])
            for way in ways {
                let plan = plan(recompute: way, tokens: tokens ?? batch)
                let choice = MemoryChoice(recompute: way, splitTokens: tokens, plan: plan, limit: limit)
                if choice.fits { return choice }
                if choice.plan.total < last?.plan.total ?? .max { last = choice }
            }
        }
        return last ?? MemoryChoice(
            recompute: recompute ?? false, splitTokens: nil, plan: plan(recompute: recompute ?? false, tokens: batch),
            limit: limit)
    }

    /// Sizes of pieces to try, the largest first; `nil` is the whole micro-batch.
    private func sizes(_ splitTokens: Recipe.Training.SplitTokens, maySplit: Bool) -> [Int?] {
        switch splitTokens {
        case .none: return [nil]
        case .count(let count): return [count]
        case .automatic: break
        }
        guard maySplit, longest > 0, batch > longest else { return [nil] }
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
        let parts = MemoryPlan.Part.allCases.map { "\($0.rawValue) \(MemoryPlan.inWords(choice.plan.bytes[$0] ?? 0))" }
        return
            "the run needs \(MemoryPlan.inWords(choice.plan.required)) (with a reserve; \(parts.joined(separator: ", "))), but may use \(MemoryPlan.inWords(choice.limit ?? 0)); try training.recompute=auto, training.split_tokens=auto, a smaller data.max_length or adapter.rank, model.quantization=nf4, or a higher --memory"
    }
}
