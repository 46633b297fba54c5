import CKernels

/// Sums over whole tensors in pieces of fixed size, added up in order: the same bits on every number of threads.
extension Compute {
    private static let piece = 1 << 16

    /// Σ x² over all elements, in double precision.
    public func sumOfSquares(_ tensor: Tensor) -> Double { sumsOfSquares([tensor])[0] }

    /// Σ x² over all elements of each tensor: many small ones share the threads as well as a large one does.
    public func sumsOfSquares(_ tensors: [Tensor]) -> [Double] {
        let runs = tensors.flatMap { tensor in
            stride(from: 0, to: tensor.count, by: Self.piece).map {
                (start: tensor.floats + $0, count: min(Self.piece, tensor.count - $0))
            }
        }
        var sums = [Double](repeating: 0, count: runs.count)
        sums.withUnsafeMutableBufferPointer { sums in
            guard let target = sums.baseAddress else { return }
            threads.run(tiles: runs.count) { martlet_sum_of_squares(Int64(runs[$0].count), runs[$0].start, target + $0) }
        }
        var next = 0
        return tensors.map { tensor in
            let pieces = (tensor.count + Self.piece - 1) / Self.piece
            defer { next += pieces }
            return sums[next..<next + pieces].reduce(0, +)
        }
    }

    /// The sum of words, modulo 2³²: reads every one and does next to nothing with it.
    public func sumOfWords(_ words: UnsafeBufferPointer<UInt32>) -> UInt32 {
        let pieces = (words.count + Self.piece - 1) / Self.piece
        var sums = [UInt32](repeating: 0, count: pieces)
        sums.withUnsafeMutableBufferPointer { sums in
            guard let target = sums.baseAddress, let first = words.baseAddress else { return }
            threads.run(tiles: pieces) { index in
                let start = index * Self.piece
                martlet_sum_of_words(Int64(min(Self.piece, words.count - start)), first + start, target + index)
            }
        }
        return sums.reduce(0, &+)
    }
}

extension Tensor {
    /// Index of the largest element of a dense float32 tensor, counted in row-major order; the first of equal ones.
    public var indexOfLargest: Int {
        var index: Int64 = 0
        martlet_index_of_largest(Int64(count), floats, &index)
        return Int(index)
    }
}
