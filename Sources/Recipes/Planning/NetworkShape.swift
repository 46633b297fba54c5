import Autograd
import Layers
package import Models
import TensorCore

/// Sizes of a network that decide its memory.
package struct NetworkShape {
    /// Linear layers that every token passes.
    private let linears: [Linear]
    private let mixtures: [MixtureOfExperts]
    private let head: Weight
    /// Bytes of all weights as they are stored, and of those that lie in mapped files.
    package let weightBytes, mappedWeightBytes: Int
    /// Bytes of these that the process holds at a time: the largest block and a part of the head.
    package let heldMappedBytes: Int
    /// Bytes of the weights that lie in memory.
    package var heapWeightBytes: Int { weightBytes - mappedWeightBytes }
    private let attentions: [AttentionOptions]
    private let layers, hidden, vocabulary, normedWidth: Int
    private var elementBytes: Int
    /// Numbers of the largest matrix, and bytes of the largest that lies in a file.
    private let largestMatrix, largestMappedBytes: Int

    /// Bytes of a float32 number: a log-sum-exp, a low-rank value, a scale.
    private static let floatBytes = 4

    package init(_ network: any CausalLanguageModel, elementBytes: Int) {
        linears = network.linears.filter { $0.role != .experts }
        (mixtures, head) = (network.mixtures, network.head)
        (layers, vocabulary) = (max(1, network.layerCount), network.vocabularySize)
        (attentions, normedWidth) = (network.attentions, network.normedWidth)
        (hidden, self.elementBytes) = (network.head.columns, elementBytes)
        weightBytes = network.weights.reduce(0) { $0 + $1.byteCount }
        mappedWeightBytes = network.mappedWeightBytes
        let block = network.blockWeights.reduce(0) { max($0, MappedWeights($1).byteCount) }
        heldMappedBytes = block + LogitCut.mostMappedBytes(of: head)
        largestMatrix = network.weights.reduce(0) { max($0, $1.rows * $1.columns) }
        largestMappedBytes = network.weights.reduce(0) { max($0, MappedWeights([$1]).byteCount) }
    }

    /// A row of the residual stream: float32 in every precision.
    package var residualBytes: Int { 4 * hidden }

    /// What a block keeps per token, on average over all: the results of norms, what goes into attention and what comes
    /// out, gates and ups, low-rank values of adapters, and what its experts keep. Layers that end in the residual stream
    /// keep nothing, and activations of dense parts are computed again.
    package var keptBytesPerBlock: Int {
        let attention = attentions.reduce(0) { sum, form in
            let head = elementBytes * (form.headSize + form.valueSize) + scaleBytes
            return sum + form.heads * (head + Self.floatBytes) + form.keyValueHeads * head
        }
        let feedForward = linears.reduce(0) { sum, layer in
            layer.role == .attention || layer.weight.columns != hidden ? sum : sum + elementBytes * layer.weight.rows
        }
        let experts = mixtures.reduce(0) { $0 + keptBytes($1) }
        return (elementBytes * normedWidth + attention + feedForward + lowRankBytes + experts) / layers
    }

    /// What queries and keys of a head need besides where they are kept as numbers of 16 bits.
    private var scaleBytes: Int { elementBytes == 2 ? Self.floatBytes : 0 }

    /// Low-rank values of the dense layers' adapters; in float32 these are folded into the weights.
    private var lowRankBytes: Int {
        elementBytes == 4 ? 0 : linears.reduce(0) { $0 + Self.floatBytes * ($1.adapter?.a.value.rows ?? 0) }
    }

    /// What a mixture keeps per token besides its normed input: for each chosen expert gate and up, low-rank values and,
    /// where weights meet it, the result. What goes into the experts' layers is gathered, and activated, again.
    private func keptBytes(_ mixture: MixtureOfExperts) -> Int {
        let values = mixture.gateUp.weight.outputs + (mixture.scalesOutput ? hidden : 0)
        // A weight of the choice, and its places in both orders.
        let places = 12, ranks = mixture.gateUp.rankOfExpert + mixture.down.rankOfExpert
        return mixture.routing.chosen * (elementBytes * values + Self.floatBytes * ranks + places)
    }

    /// What one block's backward pass needs besides, at its widest moment, with a few rows of the residual stream.
    package var backwardBytes: Int { max(feedForwardBackwardBytes, attentionBackwardBytes) + 4 * residualBytes }

    /// The activation computed again, float32, and three gradients as wide as the block is. In a mixture, a token is as many
    /// rows as it has experts.
    private var feedForwardBackwardBytes: Int {
        let dense = linears.reduce(hidden) { max($0, $1.weight.rows, $1.weight.columns) }
        let widest = mixtures.reduce(dense) { most, mixture in
            max(most, mixture.routing.chosen * max(mixture.gateUp.weight.outputs, hidden))
        }
        return (4 + 3 * elementBytes) * widest
    }

    /// In float32 queries, their gradients and those of the output, beside what arrived; keys and values as products read them,
    /// their gradients, and the parts that are summed to these.
    private var attentionBackwardBytes: Int {
        attentions.reduce(0) { most, form in
            let (keys, values) = (form.headSize, form.valueSize)
            let queries = 4 * (2 * keys + values) + elementBytes * values
            return max(most, form.heads * queries + form.keyValueHeads * (12 * keys + 4 * values + 12 * (keys + values)))
        }
    }

    /// What long attention keeps per token where blocks are computed again, if the longest sequence has so many tokens: its
    /// output and the sums of its softmax, float32.
    package func longAttentionBytes(longest: Int) -> Int {
        attentions.filter { $0.isLong(over: longest) }.reduce(0) { $0 + 4 * $1.heads * ($1.valueSize + 1) }
    }

    /// What training needs for so many tokens at once: what the forward pass keeps, and what passes by.
    /// - Parameter again: what every token keeps besides where blocks are computed again; `nil`: they are not.
    package func trainingBytes(tokens: Int, supervised: Int, again: Int?) -> (kept: Int, scratch: Int) {
        let perToken = again.map { layers * residualBytes + keptBytesPerBlock + $0 } ?? layers * keptBytesPerBlock
        let passing = rows(tokens) * (backwardBytes + residualBytes) + logitsBytes(supervised: supervised)
        return (rows(tokens) * perToken, passing + panelBytes)
    }

    /// Rows that matrices of so many tokens take: behind those of bfloat16 there may be zeros, for products that read whole
    /// tiles.
    private func rows(_ tokens: Int) -> Int { elementBytes == 2 ? tokens + TilePack.side - 1 : tokens }

    /// What an evaluation needs for so many tokens at once: nothing is kept, and the widest moment of a block's forward pass
    /// takes no more than that of its backward pass, or is in its attention, with a few rows of the residual stream.
    package func evaluationBytes(tokens: Int, supervised: Int) -> Int {
        let widest = max(backwardBytes + residualBytes, attentionBytes + 5 * residualBytes)
        return rows(tokens) * widest + sumBytes(supervised: supervised) + panelBytes
    }

    /// What goes into attention and comes out, float32: queries and keys as they are projected, normed, and rotated.
    private var attentionBytes: Int {
        attentions.reduce(0) { most, form in
            max(most, 4 * (form.heads + form.keyValueHeads) * (3 * form.headSize + form.valueSize))
        }
    }

    /// What the largest chunk of a loss over so many supervised tokens or fewer takes.
    func logitsBytes(supervised: Int) -> Int {
        LogitCut.mostBytes(tokens: supervised, head: head, elementBytes: elementBytes)
            + sumBytes(supervised: supervised)
    }

    /// Sums over parts of the vocabulary for such a chunk.
    private func sumBytes(supervised: Int) -> Int {
        4 * (vocabulary / Compute.sharedTileStep + 1) * LogitCut.mostRows(tokens: supervised, hidden: hidden)
    }

    /// A panel of a weight as float32. Panels of experts are smaller.
    var panelBytes: Int {
        let most = linears.reduce(head.rows * head.columns) { max($0, $1.weight.rows * $1.weight.columns) }
        return 4 * min(most, 3 << 20)
    }
}

extension NetworkShape {
    /// What the merge at the end of a run takes at its peak beside the trained adapter and its moments: buffers, for which
    /// those of training serve again, and memory elsewhere.
    func mergingBytes(_ merging: Merging, trainedParameters: Int) -> (buffers: Int, elsewhere: Int) {
        var exact = self
        exact.elementBytes = 4
        // The adapter is attached, so a pass keeps what a way back would read.
        let pass = exact.trainingBytes(tokens: LogitsComparison.probeCount, supervised: 0, again: nil)
        let logits = 4 * LogitsComparison.probeCount * vocabulary
        // Logits of base, base and adapter, and what was written; of what was trained over, too, if that is something else.
        let buffers = 4 * trainedParameters + (merging.isPacked ? 5 : 3) * logits + pass.kept + pass.scratch
        // What is compared; a piece of a tensor; the base as it was before packing, and what was written.
        let copies = (merging.isPacked ? 3 : 2) * logits + 4 * MergedTensors.pieceElements
        let models = (merging.isPacked ? 2 : 1) * merging.openingBytes + (merging.isPacked ? 1 : 2) * heapWeightBytes
        let largest = merging.isPacked ? 2 * largestMatrix : largestMappedBytes
        return (buffers, copies + models + max(0, largest - heldMappedBytes))
    }
}
