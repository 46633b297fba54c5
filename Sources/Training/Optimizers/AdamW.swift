public import Autograd
public import TensorCore

/// Adam with decoupled weight decay and bias correction (Loshchilov & Hutter, 2019), state in float32.
///
/// A parameter that no gradient has reached in a step stays as it is, its moments too, and the step does not count in
/// its bias correction: what torch does with gradients that are `None`. Adapters of an expert that is a module of its
/// own are such parameters when no token chose it; an adapter over all experts at once is one parameter, of which the
/// part of such an expert has a gradient of zero and decays.
public struct AdamW {
    /// The settings that do not change during a run.
    public struct Settings: Sendable, Equatable {
        /// Decay of the first and second moment.
        public var beta1, beta2: Double
        /// Added to the root of the second moment.
        public var epsilon: Double
        /// Share of a weight that is taken off per unit of learning rate.
        public var weightDecay: Double

        /// The field's usual settings.
        public init(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0.01) {
            (self.beta1, self.beta2, self.epsilon, self.weightDecay) = (beta1, beta2, epsilon, weightDecay)
        }
    }

    /// The settings.
    public let settings: Settings
    /// Steps taken.
    public private(set) var step = 0
    /// Steps in which each parameter had a gradient, in the order of the parameters.
    public private(set) var updates: [Int]
    /// What is trained, in a fixed order.
    public let parameters: [Parameter]
    /// First and second moments, in the order of the parameters.
    public private(set) var first, second: [Tensor]
    /// Σ x² of every parameter after its last update; 0 before the first.
    public private(set) var squares: [Double]
    private let compute: Compute

    /// A fresh optimiser: moments are zero.
    public init(_ parameters: [Parameter], settings: Settings = Settings(), on compute: Compute) {
        (self.parameters, self.settings, self.compute) = (parameters, settings, compute)
        updates = parameters.map { _ in 0 }
        squares = parameters.map { _ in 0 }
        first = parameters.map { compute.zeros($0.value.shape) }
        second = parameters.map { compute.zeros($0.value.shape) }
    }

    /// Takes one step.
    /// - Parameters:
    ///   - gradients: summed gradients; a parameter that none has reached stays as it is.
    ///   - scale: factor of the gradients: 1 / supervised tokens, times the clipping factor.
    public mutating func update(with gradients: Gradients, scale: Float, learningRate: Double) {
        step += 1
        var (parts, indices): ([AdamWPart], [Int]) = ([], [])
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = gradients[parameter] else { continue }
            updates[index] += 1
            let update = AdamWUpdate(
                learningRate: learningRate, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon,
                weightDecay: settings.weightDecay, step: updates[index], gradientScale: scale)
            indices.append(index)
            parts.append(
                AdamWPart(
                    update, gradient: gradient, parameter: parameter.uniqueFloats(), first: &first[index],
                    second: &second[index]))
        }
        for (index, sum) in zip(indices, compute.adamW(parts)) { squares[index] = sum }
    }

    /// Takes up where a saved optimiser stopped.
    /// - Precondition: shapes and counts are those of the parameters.
    public mutating func restore(step: Int, updates: [Int], first: [Tensor], second: [Tensor]) {
        precondition(first.map(\.shape) == parameters.map(\.value.shape) && second.map(\.shape) == first.map(\.shape))
        precondition(updates.count == parameters.count)
        (self.step, self.updates, self.first, self.second) = (step, updates, first, second)
        squares = parameters.map { _ in 0 }
    }
}
