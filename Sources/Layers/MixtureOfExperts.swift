public import Autograd
import TensorCore

/// A mixture of experts: each token passes the few experts that its router chooses, and the shared ones.
///
/// Tokens are sorted by expert, so that cost follows the tokens and not the number of experts.
public struct MixtureOfExperts: FeedForward {
    /// Scores the experts: `[experts, hidden]`.
    public let router: Linear
    /// How scores become choices and weights.
    public let routing: RoutingOptions
    /// `[2 · width, hidden]` and `[hidden, width]` of every expert.
    public let gateUp, down: ExpertBank
    /// The function between.
    public let function: GateFunction
    /// Whether gates and ups alternate instead of gates coming first.
    public let isInterleaved: Bool
    /// Whether weights scale what experts get (Llama 4).
    public let scalesInput: Bool
    /// What every token passes besides.
    public let shared: GatedMLP?
    /// Number of the layer, for the statistics of the routing.
    public let layer: Int

    /// Makes a mixture from its parts.
    public init(
        router: Linear, routing: RoutingOptions, gateUp: ExpertBank, down: ExpertBank, function: GateFunction = .silu,
        isInterleaved: Bool = false, scalesInput: Bool = false, shared: GatedMLP? = nil, layer: Int
    ) {
        (self.router, self.routing, self.gateUp, self.down) = (router, routing, gateUp, down)
        (self.function, self.isInterleaved, self.scalesInput) = (function, isInterleaved, scalesInput)
        (self.shared, self.layer) = (shared, layer)
    }

    /// Router, shared experts, and the routed experts that are modules of their own.
    public var linears: [Linear] { [router] + (shared?.linears ?? []) + gateUp.modules + down.modules }

    /// Both layers of the routed experts.
    public var banks: [ExpertBank] { [gateUp, down] }

    /// Whether weights scale what experts give. Elsewhere they scale what goes into the second layer, which comes to the same
    /// if that adds no bias, and spares keeping its result.
    public var scalesOutput: Bool { !scalesInput && down.bias != nil }

    /// `[tokens, hidden]` → `[tokens, hidden]`.
    public func callAsFunction(_ x: Variable, addedTo residual: Variable? = nil, in graph: Graph) -> Variable {
        let (weights, groups) = graph.route(router(x, in: graph), options: routing)
        graph.routingLog?.add(groups.counts, layer: layer)
        let input = graph.gather(x, groups: groups, weights: scalesInput ? weights : nil)
        var middle = activated(gateUp(input, groups: groups, in: graph), in: graph)
        if !scalesInput && !scalesOutput { middle = graph.weigh(middle, groups: groups, by: weights) }
        let output = down(middle, groups: groups, in: graph)
        let routed = graph.combine(output, groups: groups, weights: scalesOutput ? weights : nil)
        let result = shared.map { $0(x, addedTo: routed, in: graph) } ?? routed
        return residual.map { graph.add($0, result) } ?? result
    }

    private func activated(_ both: Variable, in graph: Graph) -> Variable {
        if isInterleaved { return graph.gatedActivation(interleaved: both, function) }
        let parts = graph.split(both, widths: [down.weight.inputs, down.weight.inputs])
        return graph.gatedActivation(parts[0], parts[1], function)
    }
}
