import Foundation

/// The learning rate of every optimiser step, counted from 1: a linear warm-up, then a decay to the end of the run.
public struct LearningRateSchedule: Sendable, Equatable {
    /// How the rate falls after the warm-up.
    public enum Decay: String, Sendable, Codable, CaseIterable {
        /// Half a cosine wave down to 0 just after the last step.
        case cosine
        /// A straight line down to 0 just after the last step.
        case linear
        /// Not at all.
        case constant
    }

    /// The highest rate.
    public let peak: Double
    /// The shape after the warm-up.
    public let decay: Decay
    /// Steps of the warm-up, and of the whole run.
    public let warmupSteps, totalSteps: Int

    /// Describes a schedule.
    public init(peak: Double, decay: Decay, warmupSteps: Int, totalSteps: Int) {
        (self.peak, self.decay, self.warmupSteps, self.totalSteps) = (peak, decay, warmupSteps, totalSteps)
    }

    /// A sentence about a warm-up that does not come to its end; `nil` where it does.
    public var remark: String? {
        guard totalSteps > 0, warmupSteps > totalSteps else { return nil }
        let last = String(format: "%.2g of %.2g", rate(step: totalSteps), peak)
        return "the warm-up of \(warmupSteps) steps is longer than the run of \(totalSteps), so that the learning rate gets no further than \(last); lower training.warmup_steps"
    }

    /// The rate of a step: step k of the warm-up has `peak · k / warmupSteps`.
    public func rate(step: Int) -> Double {
        if step <= warmupSteps { return peak * Double(step) / Double(warmupSteps) }
        let progress = Double(step - 1 - warmupSteps) / Double(max(1, totalSteps - warmupSteps))
        switch decay {
        case .constant: return peak
        case .linear: return peak * max(0, 1 - progress)
        case .cosine: return peak * 0.5 * (1 + cos(Double.pi * min(1, progress)))
        }
    }
}
