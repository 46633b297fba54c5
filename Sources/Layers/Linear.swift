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
    public let weight: Weight
    /// `[outputs]`, or `nil`.
    public let bias: Tensor?
    /// The trainable low-rank update, if one is attached.
    public internal(set) var adapter: LowRankUpdate?

    /// Makes a layer without an adapter.
    public init(name: String, role: ModuleRole, weight: Weight, bias: Tensor? = nil) {
        (self.name, self.role, self.weight, self.bias) = (name, role, weight, bias)
    }

    /// `[tokens, inputs]` → `[tokens, outputs]`. A router computes in float32 whatever the precision is.
    public func callAsFunction(_ x: Variable, in graph: Graph) -> Variable {
        graph.linear(x, weight: weight, bias: bias, update: adapter, precision: role == .router ? .float32 : nil)
    }
}
