public import TensorCore

/// A value in a ``Graph``. It takes part in differentiation if something trainable went into it.
public struct Variable {
    /// The value; never written to again.
    public let value: Tensor
    let node: Node?
    private let again: (() -> Tensor)?

    /// What an operation that needs this value in its backward pass should keep.
    public var kept: Kept { again.map { Kept(again: $0) } ?? Kept(value) }

    /// Whether a gradient is wanted for this value.
    public var needsGradient: Bool { node != nil }

    /// A value that nothing trainable went into.
    public init(constant value: Tensor) {
        self.init(value, nil)
    }

    init(_ value: Tensor, _ node: Node?, again: (() -> Tensor)? = nil) {
        (self.value, self.node, self.again) = (value, node, again)
    }
}

/// One recorded operation: where its inputs came from and how to go back.
final class Node {
    let name: String
    let inputs: [Node?]
    /// What it belongs to, where a check wants to know.
    var place = ""
    var gradient: Tensor?
    var backward: ((Tensor) -> [Tensor?])?
    /// No operation, but something to be done when the way back comes by.
    var passing: (() -> Void)?

    init(name: String, inputs: [Node?], backward: ((Tensor) -> [Tensor?])?) {
        self.name = name
        self.inputs = inputs
        self.backward = backward
    }

    /// Takes over the gradient that has come so far. A backward that asks an input's node for it returns the sum of it and
    /// its own.
    func takeGradient() -> Tensor? {
        defer { gradient = nil }
        return gradient
    }
}

/// Records operations as they run and runs them backwards.
///
/// Operations are coarse (a whole linear layer, a whole attention); each has a hand-written derivative beside its
/// forward code. ``backward(from:gradient:)`` consumes the tape: what an operation saved is dropped as soon as its
/// gradients exist.
public final class Graph {
    /// What operations run on.
    public let compute: Compute
    /// Where gradients of parameters are summed; `nil` records nothing (evaluation, generation).
    public let gradients: Gradients?
    /// Random numbers of dropout; `nil` leaves dropout out.
    public var dropout: DropoutContext?
    /// Measures operations, if set.
    public var timer: OperationTimer?
    /// Looks for values that are not finite, if set.
    public var check: FiniteCheck?
    /// Counts the tokens of experts in the forward pass, if set.
    public var routingLog: RoutingLog?
    /// The loss that spreads tokens over experts, if it is asked for.
    public var loadBalance: LoadBalance?
    /// Whether blocks that are computed again keep what attention over long sequences gave
    /// (``AttentionOptions/isLong(over:)``), most of their time. Changes no bit.
    public var keepsLongAttention = false
    /// What a block that is computed twice keeps from the first time.
    var keptResults: KeptResults?
    private var tape: [Node] = []
    private let recent = RecentValue()

    /// A graph that sums parameter gradients into `gradients`, or that only evaluates if that is `nil`.
    public init(compute: Compute, gradients: Gradients? = nil) {
        self.compute = compute
        self.gradients = gradients
    }

    /// Whether operations are recorded.
    public var isRecording: Bool { gradients != nil }

    /// Makes a leaf whose gradient ``backward(from:gradient:)`` leaves in the result of ``gradient(of:)``.
    public func leaf(_ value: Tensor) -> Variable {
        guard isRecording else { return Variable(constant: value) }
        return Variable(value, Node(name: "leaf", inputs: [], backward: nil))
    }

    /// The gradient that reached a leaf.
    public func gradient(of leaf: Variable) -> Tensor? { leaf.node?.gradient }

    /// Records the result of an operation. This is all that a user's own operation needs.
    /// - Parameters:
    ///   - name: what the operation is called in measurements.
    ///   - value: the result, just computed.
    ///   - inputs: what it was computed from.
    ///   - trainsParameters: whether `backward` adds to ``gradients`` of parameters, so that it must run even if no input
    ///     needs a gradient.
    ///   - again: computes the value once more, for later operations to keep instead of it; worth giving where that is
    ///     quick and needs only what `backward` keeps anyway. What is kept rounded may give it rounded.
    ///   - backward: given the gradient of the result (same shape), returns one gradient per input, `nil` where the
    ///     input does not need one.
    public func record(
        _ name: String, _ value: Tensor, inputs: @autoclosure () -> [Variable], trainsParameters: Bool = false,
        again: (() -> Tensor)? = nil, backward: @escaping (Tensor) -> [Tensor?]
    ) -> Variable {
        timer?.lap(name)
        check?.look(value, of: name, at: check?.place ?? "", on: compute)
        guard isRecording else { return Variable(constant: value) }
        let (inputs, again) = (inputs(), again.map(recent.remembering))
        // A constant is kept in the same form, so that what comes before an operation does not change its bits.
        guard trainsParameters || inputs.contains(where: \.needsGradient) else { return Variable(value, nil, again: again) }
        let node = Node(name: name, inputs: inputs.map(\.node), backward: backward)
        if let check { node.place = check.place }
        tape.append(node)
        return Variable(value, node, again: again)
    }

    /// Has `action` done in the backward pass, before operations recorded earlier and after those recorded later.
    public func onTheWayBack(_ action: @escaping () -> Void) {
        guard isRecording else { return }
        let node = Node(name: "", inputs: [], backward: nil)
        node.passing = action
        tape.append(node)
    }

    /// Runs the tape backwards from `variable` and empties it.
    /// - Parameter gradient: gradient of the final scalar with respect to `variable`; ones if `nil`.
    public func backward(from variable: Variable, gradient: Tensor? = nil) {
        guard let last = variable.node else { return tape.removeAll() }
        last.gradient = gradient ?? ones(like: variable.value)
        while let node = tape.popLast() {
            node.passing?()
            guard let backward = node.backward, let arrived = node.gradient else { continue }
            node.backward = nil
            node.gradient = nil
            let gradients = backward(arrived)
            precondition(gradients.count == node.inputs.count, "a backward returned \(gradients.count) gradients for \(node.inputs.count) inputs")
            for (input, gradient) in zip(node.inputs, gradients) {
                if let gradient { check?.look(gradient, of: "gradient of " + node.name, at: node.place, on: compute) }
                if let input, let gradient { add(gradient, to: input) }
            }
            timer?.lap(node.name + " backward")
        }
    }

    private func ones(like tensor: Tensor) -> Tensor {
        compute.tensor([Float](repeating: 1, count: tensor.count), shape: tensor.shape)
    }

    /// Sums gradients that reach one node on several ways, in place when nobody else holds the sum.
    private func add(_ gradient: Tensor, to node: Node) {
        guard var sum = node.gradient else { return node.gradient = gradient }
        node.gradient = nil
        node.gradient = compute.sum(&sum, gradient)
    }
}
