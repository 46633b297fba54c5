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
        let key = ObjectIdentifier(parameter)
        let adding = sums[key] != nil
        var sum = sums.removeValue(forKey: key) ?? compute.empty(parameter.value.shape)
        sum.withUniqueFloats { buffer in
            if let start = buffer.baseAddress { body(start, adding) }
        }
        sums[key] = sum
    }

    /// Forgets all gradients, at the start of a step.
    public func removeAll() { sums.removeAll(keepingCapacity: true) }
}
