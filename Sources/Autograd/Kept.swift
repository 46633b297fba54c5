public import TensorCore

/// What a backward pass keeps of a value: the value itself or, where that costs less than the memory, how to compute it
/// again from what is kept anyway, which the precision may have rounded.
public struct Kept {
    private let tensor: Tensor?
    private let again: (() -> Tensor)?

    /// Keeps the value.
    public init(_ tensor: Tensor) { (self.tensor, again) = (tensor, nil) }

    /// Keeps the way to compute it.
    public init(again: @escaping () -> Tensor) { (tensor, self.again) = (nil, again) }

    /// The value, to the precision that the backward pass needs.
    public func value() -> Tensor {
        if let tensor { return tensor }
        guard let again else { preconditionFailure("nothing was kept") }
        return again()
    }
}

/// The value that was last computed again: the layers over it ask for it one after another.
final class RecentValue {
    private final class Key {}
    private var value: (of: Key, tensor: Tensor)?

    /// A way to compute a value that is not gone twice in a row.
    func remembering(_ again: @escaping () -> Tensor) -> () -> Tensor {
        let key = Key()
        return { [self] in
            if let value, value.of === key { return value.tensor }
            // The old one goes before the new one comes.
            value = nil
            let tensor = again()
            value = (key, tensor)
            return tensor
        }
    }
}

extension Graph {
    /// What a backward pass should keep of a value that nobody else keeps: in the activation type of the precision.
    func rounded(toKeep value: Tensor) -> Tensor {
        roundsToKeep(value) ? compute.converted(value, to: compute.precision.activationType) : value
    }

    /// The same for an operation that rounds while it computes: the value itself, or where it is to put it rounded.
    func roomToKeep(_ value: Tensor) -> Tensor {
        roundsToKeep(value) ? compute.empty(value.shape, compute.precision.activationType) : value
    }

    /// Whether what is kept of a value is of a narrower type.
    func roundsToKeep(_ value: Tensor) -> Bool {
        isRecording && value.elementType != compute.precision.activationType
    }
}
