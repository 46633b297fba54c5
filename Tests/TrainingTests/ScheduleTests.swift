import Foundation
import Testing
import Training

/// Learning rates, counted by hand.
@Suite struct ScheduleTests {
    private func rates(_ decay: LearningRateSchedule.Decay, warmup: Int, total: Int) -> [Double] {
        let schedule = LearningRateSchedule(peak: 8, decay: decay, warmupSteps: warmup, totalSteps: total)
        return (1...total).map { schedule.rate(step: $0) }
    }

    private func expectEqual(_ found: [Double], _ expected: [Double]) {
        #expect(found.count == expected.count)
        for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-12, "\(found)") }
    }

    @Test func aWarmUpLongerThanTheRunIsNamed() {
        func remark(warmup: Int) -> String? {
            LearningRateSchedule(peak: 2e-4, decay: .cosine, warmupSteps: warmup, totalSteps: 2).remark
        }
        #expect(remark(warmup: 2) == nil)
        let sentence = "the warm-up of 100 steps is longer than the run of 2, so that the learning rate gets no further than 4e-06 of 0.0002"
        #expect(remark(warmup: 100)?.hasPrefix(sentence) == true, "\(remark(warmup: 100) ?? "")")
    }

    @Test func constant() {
        expectEqual(rates(.constant, warmup: 0, total: 3), [8, 8, 8])
        expectEqual(rates(.constant, warmup: 4, total: 6), [2, 4, 6, 8, 8, 8])
    }

    @Test func linear() {
        expectEqual(rates(.linear, warmup: 0, total: 4), [8, 6, 4, 2])
        expectEqual(rates(.linear, warmup: 2, total: 6), [4, 8, 8, 6, 4, 2])
    }

    @Test func cosine() {
        let root = 2.0.squareRoot()
        expectEqual(rates(.cosine, warmup: 0, total: 4), [8, 4 + 2 * root, 4, 4 - 2 * root])
        expectEqual(rates(.cosine, warmup: 1, total: 3), [8, 8, 4])
    }

    @Test func warmupMayFillTheRun() {
        expectEqual(rates(.cosine, warmup: 4, total: 4), [2, 4, 6, 8])
        expectEqual(rates(.linear, warmup: 8, total: 4), [1, 2, 3, 4])
    }

    @Test func ratesStayBetweenZeroAndPeak() {
        for decay in LearningRateSchedule.Decay.allCases {
            let schedule = LearningRateSchedule(peak: 1, decay: decay, warmupSteps: 3, totalSteps: 10)
            #expect((1...40).allSatisfy { (0...1).contains(schedule.rate(step: $0)) }, "\(decay)")
        }
    }
}
