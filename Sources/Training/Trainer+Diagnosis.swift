import Autograd
import Datasets
import Models
import TensorCore

/// Finding out what went wrong in a step: computing is deterministic, so it is done again, with a closer look.
extension Trainer {
    /// No parameter of a network that learns has a norm near this.
    static let largestNorm = 1e6
    /// A mean gradient above this has a square, in Adam's second moment, that float32 cannot hold.
    static let largestGradient = 1e18

    /// The first parameter whose norm is not finite or beyond all reason.
    /// - Parameter squares: of the norms of all parameters.
    func wildParameter(_ squares: [Double]) -> (name: String, norm: Double)? {
        let norms = squares.map { $0.squareRoot() }
        return zip(optimizer.parameters, norms).first { !($0.1 <= Self.largestNorm) }.map { ($0.0.name, $0.1) }
    }

    /// What made the loss or the gradient of a step bad.
    func diagnosis(of window: [TokenBatch], step: Int, kind: NumericProblem.Kind) throws -> NumericProblem {
        if let (name, _) = wildParameter(compute.sumsOfSquares(optimizer.parameters.map(\.value))) {
            return NumericProblem(step: step, kind: kind, origin: "parameter \(name)", records: [])
        }
        for batch in window {
            guard let origin = try firstFault(in: batch, step: step) else { continue }
            var bad: [RecordPlace] = []
            for sequence in batch.sequences where try firstFault(in: sequence, step: step) != nil {
                bad += sequence.records
            }
            return NumericProblem(step: step, kind: kind, origin: origin, records: bad.isEmpty ? batch.records : bad)
        }
        return NumericProblem(step: step, kind: kind, origin: nil, records: [])
    }

    /// The operation or parameter where a micro-batch first yields something that is not finite; `nil` if nowhere.
    private func firstFault(in batch: TokenBatch, step: Int) throws -> String? {
        let (check, gradients) = (FiniteCheck(), Gradients())
        let balance = try loadBalance(of: [batch], step: step)
        let sum = try forwardBackward(batch, step: step, RoutingLog(), balance, gradients, check: check)
        if let found = check.found { return found }
        // The backward pass reaches the last layers first.
        for parameter in optimizer.parameters.reversed() {
            if let gradient = gradients[parameter], !compute.sumOfSquares(gradient).isFinite {
                return "gradient of \(parameter.name)"
            }
        }
        return sum.isFinite ? nil : "loss"
    }
}
