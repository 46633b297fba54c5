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
    /// Every linear layer that can take an adapter, in the order of computation.
    var linears: [Linear] { get }
    /// The embedding's table `[vocabulary, hidden]`.
    var embedding: Weight { get }
    /// The head's weight `[vocabulary, hidden]`; the embedding's where they are tied.
    var head: Weight { get }

    /// Hidden states after the final norm, `[tokens, hidden]`.
    /// - Parameters:
    ///   - tokens: ids below ``vocabularySize``, sequences laid one after another as `layout` says.
    ///   - cache: keys and values of earlier tokens; those of these tokens are added.
    ///   - recompute: save only the inputs of blocks and compute them again in the backward pass.
    func hiddenStates(
        _ tokens: [Int32], layout: SequenceLayout, cache: KeyValueCache?, recompute: Bool, in graph: Graph
    ) -> Variable
}

extension CausalLanguageModel {
    /// Logits `[vocabulary]` of the token after the last one, float32.
    public func nextTokenLogits(
        _ tokens: [Int32], layout: SequenceLayout, cache: KeyValueCache?, on compute: Compute
    ) -> Tensor {
        let graph = Graph(compute: compute)
        let hidden = hiddenStates(tokens, layout: layout, cache: cache, recompute: false, in: graph).value
        return compute.product(compute.row(hidden.rows - 1, of: hidden), transposed: head).reshaped([vocabularySize])
    }

    /// Logits `[tokens, vocabulary]` of every token, float32: for comparisons of small inputs.
    public func logits(_ tokens: [Int32], layout: SequenceLayout, on compute: Compute) -> Tensor {
        let graph = Graph(compute: compute)
        let hidden = hiddenStates(tokens, layout: layout, cache: nil, recompute: false, in: graph).value
        return compute.product(hidden, transposed: head)
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
