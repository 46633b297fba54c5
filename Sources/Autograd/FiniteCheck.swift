package import TensorCore

/// Looks for the first value of a forward and backward pass that is NaN or infinite, by operation and layer.
///
/// It reads every value once more, so it belongs into a pass that is made to find out what went wrong.
public final class FiniteCheck {
    /// What operations that follow belong to, for example `layers.3`.
    public var place = ""
    /// The operation and place of the first value that is not finite; `nil` while all are.
    public private(set) var found: String?

    /// Nothing found yet.
    public init() {}

    /// Looks at a result.
    func look(_ value: Tensor, of operation: String, at place: String, on compute: Compute) {
        guard found == nil, !compute.isFinite(value) else { return }
        found = place.isEmpty ? operation : "\(operation) in \(place)"
    }
}

extension Compute {
    /// Whether every element is a finite number.
    package func isFinite(_ tensor: Tensor) -> Bool {
        var isFinite = true
        for row in 0..<tensor.rows where isFinite {
            readRows(tensor, row..<row + 1) { values in
                // NaN and infinity stay what they are when multiplied by zero; everything else becomes zero.
                var sum: Float = 0
                for column in 0..<tensor.columns { sum += values[column] * 0 }
                isFinite = sum == 0
            }
        }
        return isFinite
    }
}
