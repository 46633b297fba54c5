public import TensorCore

/// A tensor that training changes. Its identity is its name; it is a class because the layers that use it and the
/// optimiser that changes it must see the same one.
public final class Parameter {
    /// Unique in the model, as it is written to disk without its ending, for example `layers.0.self_attn.q_proj.lora_A`.
    public let name: String
    /// The float32 master value. Change it with ``update(_:)``.
    public private(set) var value: Tensor

    /// Makes a parameter from a float32 tensor.
    public init(name: String, value: Tensor) {
        precondition(value.elementType == .float32, "parameter \(name) must be float32")
        self.name = name
        self.value = value
    }

    /// Changes the value in place, between steps.
    /// - Precondition: no tape of an earlier step is alive that still holds the value.
    public func update(_ body: (UnsafeMutableBufferPointer<Float>) -> Void) { value.withUniqueFloats(body) }

    /// The same for a change of many parameters together.
    package func uniqueFloats() -> UnsafeMutableBufferPointer<Float> { value.uniqueFloats() }
}

/// Gradients of parameters, summed in float32 over as many backward passes as one optimiser step takes.
public final class Gradients {
    private var sums: [ObjectIdentifier: Tensor] = [:]

    /// No gradients yet.
    public init() {}

    /// The summed gradient of a parameter, or `nil` if none has reached it.
    public subscript(parameter: Parameter) -> Tensor? { sums[ObjectIdentifier(parameter)] }

    /// Adds to the gradient of a parameter: `body` gets its memory and whether it holds values to add to.
    public func accumulate(
        _ parameter: Parameter, on compute: Compute, _ body: (_ sum: UnsafeMutablePointer<Float>, _ adding: Bool) -> Void
    ) {
        accumulate([parameter], on: compute) { body($0[0].values, $0[0].adding) }
    }

    /// The memory of a parameter's gradient, and whether it holds values to add to.
    package typealias Sum = (values: UnsafeMutablePointer<Float>, adding: Bool)

    /// The same for several parameters, each of them once, in their order.
    package func accumulate(_ parameters: [Parameter], on compute: Compute, _ body: ([Sum]) -> Void) {
        var (tensors, places): ([Tensor], [Sum]) = ([], [])
        for parameter in parameters {
            let held = sums.removeValue(forKey: ObjectIdentifier(parameter))
            tensors.append(held ?? compute.empty(parameter.value.shape))
            places.append((tensors[tensors.count - 1].output, held != nil))
        }
        precondition(tensors.indices.allSatisfy { tensors[$0].mayChange() }, "a gradient that somebody else holds")
        body(places)
        for (parameter, tensor) in zip(parameters, tensors) { sums[ObjectIdentifier(parameter)] = tensor }
    }

    /// Forgets all gradients, at the start of a step.
    public func removeAll() { sums.removeAll(keepingCapacity: true) }
}
