public import Autograd
public import TensorCore

/// A linear layer: a frozen weight in any storage, an optional bias, an optional trainable adapter.
///
/// A class because adapters are attached to it after the model has been built.
public final class Linear {
    /// Path of the module in the checkpoint, for example `model.layers.0.self_attn.q_proj`.
    public let name: String
    /// What the layer is for.
    public let role: ModuleRole
    /// `[outputs, inputs]`.
    public var weight: Weight { layer.weight }
    /// `[outputs]`, or `nil`.
    public var bias: Tensor? { layer.bias }
    /// The trainable low-rank update, if one is attached.
    public internal(set) var adapter: LowRankUpdate? {
        get { layer.update }
        set { layer = LinearLayer(weight: weight, bias: bias, update: newValue) }
    }
    private var layer: LinearLayer
    /// A router computes in float32 whatever the precision is.
    private let precision: Precision?

    /// Makes a layer without an adapter.
    public init(name: String, role: ModuleRole, weight: Weight, bias: Tensor? = nil) {
        (self.name, self.role, layer) = (name, role, LinearLayer(weight: weight, bias: bias))
        precision = role == .router ? .float32 : nil
    }

    /// `[tokens, inputs]` → `[tokens, outputs]`, added to the residual stream if it is given.
    public func callAsFunction(_ x: Variable, addedTo residual: Variable? = nil, in graph: Graph) -> Variable {
        graph.linear(x, through: layer, addedTo: residual, precision: precision)
    }

    /// The outputs of layers of the same role over one input, in their order: few tokens pass them faster together.
    static func outputs(of layers: [Linear], _ x: Variable, in graph: Graph) -> [Variable] {
        graph.linear(x, through: layers.map(\.layer), precision: layers.first.flatMap(\.precision))
    }

    /// `f(gate(x)) · up(x)`.
    static func gated(gate: Linear, up: Linear, _ x: Variable, _ function: GateFunction, in graph: Graph) -> Variable {
        graph.gatedLinear(x, gate: gate.layer, up: up.layer, function)
    }
}
