import Autograd
import Datasets
import Layers
import Models
import TensorCore

/// How much memory a training run will take at its peak, by part. A formula per part, from shapes only.
public struct MemoryPlan: Sendable {
    /// What memory is used for.
    public enum Part: String, Sendable, CaseIterable {
        /// The program with tokenizer and data, as they are before the first step.
        case program
        /// The frozen weights as they are stored, mapped or in memory.
        case weights
        /// The trained factors.
        case adapters
        /// Gradients of the factors and Adam's two moments.
        case optimizer
        /// What the forward pass keeps for the backward pass.
        case activations
        /// Logits of a chunk of tokens, gradients on their way back, expanded panels of weights.
        case scratch
    }

    /// Bytes of each part.
    public let bytes: [Part: Int]
    /// Tokens of the largest micro-batch.
    public let tokens: Int

    /// Bytes of all parts together.
    public var total: Int { bytes.values.reduce(0, +) }

    /// Parts that are asked for together: what they are given in `sizes` is as described there.
    init(_ network: any CausalLanguageModel, _ sizes: Sizes, program: Int) {
        let shape = NetworkShape(network, elementBytes: sizes.elementBytes)
        tokens = sizes.tokens
        let perToken = sizes.recompute
            ? network.layerCount * shape.residualBytes + shape.keptBytesPerBlock : network.layerCount * shape.keptBytesPerBlock
        bytes = [
            .program: program,
            .weights: shape.weightBytes(distinctTokens: sizes.distinctTokens),
            .adapters: 4 * sizes.trainedParameters,
            .optimizer: 12 * sizes.trainedParameters,
            .activations: sizes.tokens * perToken,
            .scratch: sizes.tokens * (shape.backwardBytes + shape.residualBytes)
                + shape.logitsBytes(supervised: sizes.supervisedTokens) + shape.panelBytes,
        ]
    }

    /// What decides the plan besides the network.
    struct Sizes {
        /// Tokens of the largest micro-batch, and how many of them are trained at most.
        var tokens, supervisedTokens: Int
        /// Different token ids that the run can meet, at most.
        var distinctTokens: Int
        var trainedParameters: Int
        /// Whether blocks are computed again in the backward pass.
        var recompute: Bool
        /// Bytes of an activation inside a block.
        var elementBytes: Int
    }
}

extension PreparedRun {
    /// How much memory the run will take. Call it before the first step.
    public func memoryPlan() -> MemoryPlan {
        let size = data.trainSize
        let tokens = min(size.tokens, largestBatch)
        let trained = adapter.parameters.reduce(0) { $0 + $1.value.count }
        let live = compute.buffers.statistics.liveBytes + compute.buffers.statistics.pooledBytes
        let program = max(0, (ProcessMemory.anonymous ?? 0) - live) + Self.codeBytes
        return MemoryPlan(
            model,
            MemoryPlan.Sizes(
                tokens: tokens, supervisedTokens: min(tokens, size.supervised),
                distinctTokens: min(size.tokens, model.vocabularySize), trainedParameters: trained,
                recompute: recipe.training.recompute == .blocks, elementBytes: compute.precision.activationType.byteCount),
            program: program)
    }

    /// Code and constants of the program and its libraries that a run touches.
    private static let codeBytes = 30 << 20

    private var largestBatch: Int {
        switch recipe.training.microBatch {
        case .tokens(let count): count
        case .sequences(let count): count * data.longest(recipe)
        }
    }
}
