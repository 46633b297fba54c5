public import Autograd

/// What mixes tokens of a sequence in a decoder block.
public protocol AttentionLayer {
    /// Its linear layers in the order of computation.
    var linears: [Linear] { get }
    /// Those of them that multiply the block's input.
    var inputProjections: [Linear] { get }
    /// Heads, sizes, scale and visibility.
    var options: AttentionOptions { get }
    /// Elements per token that its own norms give, all together.
    var normedWidth: Int { get }

    /// `[tokens, hidden]` → `[tokens, hidden]`.
    /// - Parameters:
    ///   - angles: rotations of the tokens; `nil` in a layer without positions.
    ///   - cache: keys and values of earlier tokens; those of these tokens are added.
    ///   - residual: what the result is added to, if it is not wanted by itself.
    func callAsFunction(
        _ x: Variable, angles: RotaryAngles?, layout: SequenceLayout, cache: KeyValueCache?, addedTo residual: Variable?,
        in graph: Graph
    ) -> Variable
}

/// What works on each token of a decoder block by itself: a dense block or a mixture of experts.
public protocol FeedForward {
    /// Its linear layers in the order of computation.
    var linears: [Linear] { get }
    /// The layers of all routed experts taken together, if it has experts.
    var banks: [ExpertBank] { get }

    /// `[tokens, hidden]` → `[tokens, hidden]`.
    /// - Parameter residual: what the result is added to, if it is not wanted by itself.
    func callAsFunction(_ x: Variable, addedTo residual: Variable?, in graph: Graph) -> Variable
}

extension FeedForward {
    /// None: dense blocks have no experts.
    public var banks: [ExpertBank] { [] }
}
