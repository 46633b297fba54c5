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

extension Compute {
    /// Changes a parameter and its moments in place.
    public func adamW(
        _ update: AdamWUpdate, gradient: Tensor, parameter: UnsafeMutableBufferPointer<Float>, first: inout Tensor,
        second: inout Tensor
    ) {
        precondition(gradient.count == parameter.count && first.count == parameter.count && second.count == parameter.count)
        first.withUniqueFloats { m in
            second.withUniqueFloats { v in
                guard let p = parameter.baseAddress, let m = m.baseAddress, let v = v.baseAddress else { return }
                // Small enough that the adapter of one layer keeps all threads busy.
                let piece = 1 << 12
                threads.run(tiles: (parameter.count + piece - 1) / piece) { index in
                    let start = index * piece
                    var settings = update.kernel
                    martlet_adamw(
                        Int64(min(piece, parameter.count - start)), &settings, gradient.floats + start, p + start,
                        m + start, v + start)
                }
            }
        }
    }
}
