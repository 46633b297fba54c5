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
        /// The frozen weights that the process holds at a time: of mapped files a block and a part of the head.
        case weights
        /// The trained factors.
        case adapters
        /// Gradients of the factors and Adam's two moments.
        case optimizer
        /// What the forward pass keeps for the backward pass.
        case activations
        /// Hidden states and gradients of logits of a chunk of tokens, gradients on their way back, expanded panels of weights.
        case scratch
        /// What the largest batch of an evaluation takes beyond activations and scratch.
        case evaluation
        /// What merging the adapter at the end takes beyond all of these.
        case merging
    }

    /// Bytes of each part.
    public let bytes: [Part: Int]
    /// Tokens of the largest micro-batch.
    public let tokens: Int
    /// Bytes of frozen weights in mapped files. Every pass goes through them; between two passes they need no memory, but
    /// are read from the disk again unless the system has had room to keep them in its file cache.
    public let mappedWeights: Int
    /// Bytes of these that the process holds at a time.
    private let heldMapped: Int

    /// Bytes of all parts together.
    public var total: Int { bytes.values.reduce(0, +) }
    /// What must be there for the run to start: the plan is a formula, and up to two hundredths more were measured.
    public var required: Int { total + total / 32 }
    /// Bytes of all parts but the last: until its result is written the run takes no more.
    public var totalOfTraining: Int { total - (bytes[.merging] ?? 0) }
    /// What must be there for the run without the merge at its end.
    public var requiredByTraining: Int { totalOfTraining + totalOfTraining / 32 }

    /// Whether memory of this size is too small for the file cache to keep the weights beside the run.
    public func readsWeightsAgain(within memory: Int) -> Bool {
        totalOfTraining - heldMapped + mappedWeights > memory
    }

    /// Parts that are asked for together: what they are given in `sizes` is as described there.
    init(_ shape: NetworkShape, _ sizes: Sizes, program: Int) {
        (tokens, mappedWeights, heldMapped) = (sizes.tokens, shape.mappedWeightBytes, shape.heldMappedBytes)
        let training = shape.trainingBytes(
            tokens: sizes.tokens, supervised: sizes.supervisedTokens, again: sizes.again)
        let evaluation = sizes.evaluation.map { shape.evaluationBytes(tokens: $0.tokens, supervised: $0.supervised) }
        let passing = training.kept + training.scratch
        let merging = sizes.merging.map { shape.mergingBytes($0, trainedParameters: sizes.trainedParameters) }
        bytes = [
            .program: program,
            .weights: shape.heapWeightBytes + shape.heldMappedBytes,
            .adapters: 4 * sizes.trainedParameters,
            .optimizer: 12 * sizes.trainedParameters,
            .activations: training.kept,
            .scratch: training.scratch,
            .evaluation: max(0, (evaluation ?? 0) - passing),
            // Buffers that training no longer needs are used again.
            .merging: merging.map { $0.elsewhere + max(0, $0.buffers - max(passing, evaluation ?? 0)) } ?? 0,
        ]
    }

    /// What decides the plan besides the network.
    struct Sizes {
        /// Tokens of the largest micro-batch, and how many of them are trained at most.
        var tokens, supervisedTokens: Int
        /// The same of the largest batch of an evaluation; `nil` without validation data.
        var evaluation: (tokens: Int, supervised: Int)?
        var trainedParameters: Int
        /// How the adapter is merged at the end; `nil`: it is not.
        var merging: Merging?
        /// What every token keeps besides where blocks are computed again; `nil`: they are not.
        var again: Int?
    }
}

/// What decides the memory of the merge at the end of a run.
package struct Merging {
    /// Whether the adapter was trained over a base in 4 bits and goes into the base as it was before.
    let isPacked: Bool
    /// Bytes that opening the base took, besides its weights.
    let openingBytes: Int

    /// What the recipe asks for; `nil` if that is the adapter alone.
    init?(_ recipe: Recipe, _ base: BaseModel, openingBytes: Int) {
        guard recipe.output.save.contains(.merged) else { return nil }
        (isPacked, self.openingBytes) = (base.packing != nil, openingBytes)
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
