import CKernels

/// Sums over whole tensors in pieces of fixed size, added up in order: the same bits on every number of threads.
extension Compute {
    private static let piece = 1 << 16

    /// Σ x² over all elements, in double precision.
    public func sumOfSquares(_ tensor: Tensor) -> Double {
        let pieces = (tensor.count + Self.piece - 1) / Self.piece
        var sums = [Double](repeating: 0, count: pieces)
        sums.withUnsafeMutableBufferPointer { sums in
            guard let target = sums.baseAddress else { return }
            threads.run(tiles: pieces) { index in
                let start = index * Self.piece
                martlet_sum_of_squares(
                    Int64(min(Self.piece, tensor.count - start)), tensor.floats + start, target + index)
            }
        }
        return sums.reduce(0, +)
    }
}
