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
    /// What must be there for the run to start: the plan is a formula, and up to two hundredths more were measured.
    public var required: Int { total + total / 32 }

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

extension MemoryPlan {
    /// A size in words.
    public static func inWords(_ bytes: Int) -> String {
        if bytes < 100_000_000 { return "\(bytes / 1_000_000).\(bytes % 1_000_000 / 100_000) MB" }
        let hundredths = (bytes + 5_000_000) / 10_000_000
        return "\(hundredths / 100).\(hundredths % 100 / 10)\(hundredths % 10) GB"
    }
}
