public import Autograd
public import Layers
public import TensorCore

/// A decoder that turns token ids into hidden states. Logits belong to the fused loss or to decoding.
public protocol CausalLanguageModel {
    /// Number of token ids.
    var vocabularySize: Int { get }
    /// Number of decoder blocks.
    var layerCount: Int { get }
    /// Longest sequence the model was made for, in tokens.
    var maximumLength: Int { get }
    /// Every linear layer of the blocks, in the order of computation.
    var linears: [Linear] { get }
    /// Those of them that multiply embeddings.
    var inputProjections: [Linear] { get }
    /// The matrices that every block multiplies with.
    var blockWeights: [[Weight]] { get }
    /// What can take an adapter, in the order of computation: linear layers, and the layers of all experts together.
    var adapterTargets: [any AdapterTarget] { get }
    /// The mixtures of experts, in the order of computation; none in a dense model.
    var mixtures: [MixtureOfExperts] { get }
    /// What the attention of every block computes.
    var attentions: [AttentionOptions] { get }
    /// Elements per token that the norms of the blocks give, all together.
    var normedWidth: Int { get }
    /// The embedding's table `[vocabulary, hidden]`.
    var embedding: Weight { get }
    /// The head's weight `[vocabulary, hidden]`; the embedding's where they are tied.
    var head: Weight { get }
    /// Logits `z` become `cap · tanh(z / cap)`, if there is one.
    var logitSoftCap: Float? { get }

    /// Hidden states after the final norm, `[tokens, hidden]`. Without a cache, a pass takes the pages of a block's weights
    /// out of the process's memory when it goes on, forward and backward; only the block that the next pass begins with stays.
    /// - Parameters:
    ///   - tokens: ids below ``vocabularySize``, sequences laid one after another as `layout` says.
    ///   - cache: keys and values of earlier tokens; those of these tokens are added.
    ///   - recompute: save only the inputs of blocks and compute them again in the backward pass.
    func hiddenStates(
        _ tokens: [Int32], layout: SequenceLayout, cache: KeyValueCache?, recompute: Bool, in graph: Graph
    ) -> Variable

    /// Whether keys cached for a sequence of `length` tokens are still right when it has grown to `newLength`. Positions
    /// that are told in a way that depends on the length make them wrong.
    func cacheStaysValid(from length: Int, to newLength: Int) -> Bool
}

extension CausalLanguageModel {
    /// Names of the tensors that are packed into 4 bits: linear layers and fused experts, but not routers.
    public var packableTensors: Set<String> {
        Set(
            linears.filter { $0.role != .router }.map { $0.name + ".weight" }
                + adapterTargets.compactMap { ($0 as? ExpertBank)?.fusedTensor })
    }

    /// All matrices; an embedding that is the head once.
    public var weights: [Weight] {
        blockWeights.flatMap { $0 } + (embedding.isSameMemory(as: head) ? [head] : [embedding, head])
    }

    /// Bytes of the weights that lie in mapped files.
    public var mappedWeightBytes: Int { MappedWeights(weights).byteCount }

    /// Summed cross-entropy of the next tokens; see ``Graph/linearCrossEntropy(_:head:targets:weights:softCap:)``.
    /// - Parameters:
    ///   - hidden: what ``hiddenStates(_:layout:cache:recompute:in:)`` returned.
    ///   - weights: how much each token's loss counts; `nil` = each 1.
    public func loss(
        _ hidden: Variable, targets: [Int32], weights: [Float]? = nil, in graph: Graph
    ) -> (loss: Variable, sum: Double) {
        graph.linearCrossEntropy(hidden, head: head, targets: targets, weights: weights, softCap: logitSoftCap)
    }

    /// Logits `[vocabulary]` of the token after the last one, float32.
    public func nextTokenLogits(
        _ tokens: [Int32], layout: SequenceLayout, cache: KeyValueCache?, on compute: Compute
    ) -> Tensor {
        let graph = Graph(compute: compute)
        let hidden = hiddenStates(tokens, layout: layout, cache: cache, recompute: false, in: graph).value
        return headLogits(compute.row(hidden.rows - 1, of: hidden), on: compute).reshaped([vocabularySize])
    }

    /// Logits `[tokens, vocabulary]` of every token, float32: for comparisons of small inputs.
    public func logits(_ tokens: [Int32], layout: SequenceLayout, on compute: Compute) -> Tensor {
        let graph = Graph(compute: compute)
        let hidden = hiddenStates(tokens, layout: layout, cache: nil, recompute: false, in: graph).value
        return headLogits(hidden, on: compute)
    }

    private func headLogits(_ hidden: Tensor, on compute: Compute) -> Tensor {
        let logits = compute.product(hidden, transposed: head)
        if let logitSoftCap { compute.capLogits(logits, logitSoftCap) }
        return logits
    }
}

extension Compute {
    /// A copy of one row, `[1, columns]`.
    func row(_ index: Int, of tensor: Tensor) -> Tensor {
        let result = empty([1, tensor.columns])
        readRows(tensor, index..<index + 1) { result.output.update(from: $0, count: tensor.columns) }
        return result
    }
}
