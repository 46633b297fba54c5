public import TensorCore

/// What a backward pass keeps of a value: the value itself or, where that costs less than the memory, how to compute it
/// again from what is kept anyway. Both give the same bits.
public struct Kept {
    private let tensor: Tensor?
    private let again: (() -> Tensor)?

    /// Keeps the value.
    public init(_ tensor: Tensor) { (self.tensor, again) = (tensor, nil) }

    /// Keeps the way to compute it.
    public init(again: @escaping () -> Tensor) { (tensor, self.again) = (nil, again) }

    /// The value.
    public func value() -> Tensor {
        if let tensor { return tensor }
        guard let again else { preconditionFailure("nothing was kept") }
        return again()
    }
}
