import Layers
import Models
import TensorCore

/// Sizes of a network that decide its memory.
struct NetworkShape {
    private let linears: [Linear]
    private let embedding, head: Weight
    private let layers, elementBytes, hidden, vocabulary: Int

    init(_ network: any CausalLanguageModel, elementBytes: Int) {
        (linears, embedding, head) = (network.linears, network.embedding, network.head)
        (layers, vocabulary) = (max(1, network.layerCount), network.vocabularySize)
        (hidden, self.elementBytes) = (network.head.columns, elementBytes)
    }

    /// A row of the residual stream: float32 in every precision.
    var residualBytes: Int { 4 * hidden }

    /// What a block keeps per token: the outputs of its linear layers (rotated or not; those that go into the residual
    /// stream as float32) and the output of attention. Norms and activations are computed again.
    var keptBytesPerBlock: Int {
        let outputs = linears.reduce(0) { $0 + ($1.weight.rows == hidden ? residualBytes : elementBytes * $1.weight.rows) }
        let attention = linears.reduce(0) { most, layer in
            layer.role == .attention && layer.weight.rows == hidden ? max(most, layer.weight.columns) : most
        }
        return outputs / layers + 4 * attention
    }

    /// What one block's backward pass needs besides: the activation computed again and three gradients as wide as the
    /// block is, and a few as wide as the residual stream.
    var backwardBytes: Int {
        let widest = linears.reduce(hidden) { max($0, $1.weight.rows, $1.weight.columns) }
        return 4 * elementBytes * widest + 4 * residualBytes
    }

    /// Logits of a chunk, and the hidden states and gradients that belong to it.
    func logitsBytes(supervised: Int) -> Int {
        min(max(64 * vocabulary, 1 << 24), supervised * vocabulary) * 4
    }

    /// A panel of a weight as float32.
    var panelBytes: Int {
        let most = linears.reduce(head.rows * head.columns) { max($0, $1.weight.rows * $1.weight.columns) }
        return 4 * min(most, 3 << 20)
    }

    /// The weights as they are stored. Of an embedding that is not the head, only pages with tokens of the data are read;
    /// the system maps them sixteen at a time.
    func weightBytes(distinctTokens: Int) -> Int {
        let layers = linears.reduce(0) { $0 + $1.weight.byteCount }
        let isTied = embedding.isSameMemory(as: head)
        return layers + head.byteCount + (isTied ? 0 : min(embedding.byteCount, distinctTokens << 16))
    }
}
