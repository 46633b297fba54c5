import CKernels
import Foundation

/// The numbers of one AdamW step, the same for all parameters.
public struct AdamWUpdate: Sendable {
    let kernel: martlet_adamw

    /// Bias corrections follow from the step, counted from 1.
    public init(
        learningRate: Double, beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, step: Int,
        gradientScale: Float
    ) {
        kernel = martlet_adamw(
            learning_rate: Float(learningRate), beta1: Float(beta1), beta2: Float(beta2), epsilon: Float(epsilon),
            weight_decay: Float(weightDecay), correction1: Float(1 - pow(beta1, Double(step))),
            correction2: Float(1 - pow(beta2, Double(step))), gradient_scale: gradientScale)
    }
}

/// A parameter, its gradient and its moments, for one AdamW step.
package struct AdamWPart {
    fileprivate let update: AdamWUpdate
    fileprivate let gradient: Tensor
    fileprivate let parameter, first, second: UnsafeMutableBufferPointer<Float>

    /// - Parameters: `parameter` and both moments must stay where they are until the step is done.
    package init(
        _ update: AdamWUpdate, gradient: Tensor, parameter: UnsafeMutableBufferPointer<Float>, first: inout Tensor,
        second: inout Tensor
    ) {
        (self.update, self.gradient, self.parameter) = (update, gradient, parameter)
        (self.first, self.second) = (first.uniqueFloats(), second.uniqueFloats())
        precondition(
            [gradient.count, self.first.count, self.second.count].allSatisfy { $0 == parameter.count },
            "a gradient or moments of another size than the parameter's")
    }
}

extension Compute {
    /// Elements that a thread takes at a time: enough parts for all threads in the adapter of one layer.
    private static let adamWPiece = 1 << 13

    /// Changes parameters and their moments in place: the threads start once for all of them.
    /// - Returns: Σ x² of every parameter after the step, taken while it is in cache.
    package func adamW(_ parts: [AdamWPart]) -> [Double] {
        let pieces = parts.indices.flatMap { index in
            stride(from: 0, to: parts[index].parameter.count, by: Self.adamWPiece).map { (part: index, start: $0) }
        }
        var sums = [Double](repeating: 0, count: pieces.count)
        sums.withUnsafeMutableBufferPointer { sums in
            guard let sums = sums.baseAddress else { return }
            threads.run(tiles: pieces.count) { tile in
                let (index, start) = pieces[tile]
                adamW(parts[index], from: start, squares: sums + tile)
            }
        }
        // Pieces are of fixed size and added up in order.
        var squares = [Double](repeating: 0, count: parts.count)
        for (piece, sum) in zip(pieces, sums) { squares[piece.part] += sum }
        return squares
    }

    private func adamW(_ part: borrowing AdamWPart, from start: Int, squares: UnsafeMutablePointer<Double>) {
        guard let p = part.parameter.baseAddress, let m = part.first.baseAddress, let v = part.second.baseAddress
        else { return }
        let count = Int64(min(Self.adamWPiece, part.parameter.count - start))
        var settings = part.update.kernel
        martlet_adamw(count, &settings, part.gradient.floats + start, p + start, m + start, v + start)
        martlet_sum_of_squares(count, p + start, squares)
    }
}
