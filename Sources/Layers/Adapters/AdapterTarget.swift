public import Autograd
import TensorCore

/// What a low-rank adapter can be attached to: a linear layer, or the layers of all experts taken together.
public protocol AdapterTarget: AnyObject {
    /// Path in the checkpoint: of a module, or of a parameter that holds many experts.
    var name: String { get }
    /// What it is for.
    var role: ModuleRole { get }
    /// Whether it is a module by itself, which `target_modules` can name.
    var isModule: Bool { get }
    /// Whether groups of roles reach it.
    var isInGroups: Bool { get }
    /// Numbers of the frozen weight.
    var weightCount: Int { get }
    /// Whether an adapter is attached.
    var isAdapted: Bool { get }
    /// What an attached adapter adds to stored tensors.
    var storedUpdates: [StoredUpdate] { get }

    /// Shapes of the two factors as they are kept.
    func factorShapes(rank: Int, layout: ExpertBank.FactorLayout) -> (a: [Int], b: [Int])
    /// Attaches an adapter; see ``LoRAAdapter``.
    func attach(
        a: Parameter, b: Parameter, _ strength: AdapterStrength, _ configuration: AdapterConfiguration, site: UInt64)
    /// Takes the adapter off.
    func detach()
}

/// A low-rank matrix that an adapter adds to some rows of a stored tensor: `scale · left · right`.
public struct StoredUpdate {
    /// Name of the tensor in the checkpoint.
    public let tensor: String
    /// Rows of the tensor, all dimensions but the last taken together, and its columns.
    public let rows: Range<Int>, columns: Int
    /// `[rows, rank]` and `[rank, columns]`.
    public let left, right: FactorView
    /// Columns of `left`.
    public let rank: Int
    /// Factor of the update; see ``AdapterStrength``.
    public let scale: Float
}

extension Linear: AdapterTarget {
    /// A linear layer is a module.
    public var isModule: Bool { true }
    /// Groups reach every linear layer of their roles.
    public var isInGroups: Bool { true }
    /// Outputs times inputs.
    public var weightCount: Int { weight.rows * weight.columns }
    /// Whether an adapter is attached.
    public var isAdapted: Bool { adapter != nil }

    /// What an attached adapter adds to the weight.
    public var storedUpdates: [StoredUpdate] {
        adapter.map {
            [
                StoredUpdate(
                    tensor: name + ".weight", rows: 0..<weight.rows, columns: weight.columns, left: FactorView($0.b),
                    right: FactorView($0.a), rank: $0.a.value.rows, scale: $0.scale)
            ]
        } ?? []
    }

    /// `[rank, inputs]` and `[outputs, rank]`.
    public func factorShapes(rank: Int, layout: ExpertBank.FactorLayout) -> (a: [Int], b: [Int]) {
        ([rank, weight.columns], [weight.rows, rank])
    }

    /// Attaches an adapter; see ``LoRAAdapter``.
    public func attach(
        a: Parameter, b: Parameter, _ strength: AdapterStrength, _ configuration: AdapterConfiguration, site: UInt64
    ) {
        adapter = LowRankUpdate(a: a, b: b, scale: strength.scale, dropoutRate: configuration.dropout, site: site)
    }

    /// Takes the adapter off.
    public func detach() { adapter = nil }
}
