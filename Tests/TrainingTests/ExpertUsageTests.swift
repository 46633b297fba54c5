import Autograd
import Foundation
import Testing
import Training

/// What is said of how tokens fell on experts.
@Suite struct ExpertUsageTests {
    private func usage(_ tokens: [Int: [Int]]) -> ExpertUsage {
        let log = RoutingLog()
        for (layer, counts) in tokens { log.add(counts, layer: layer) }
        return ExpertUsage(log)
    }

    @Test func entropyAndExpertsNeverReached() {
        let usage = usage([3: [0, 8, 0, 0], 1: [2, 2, 2, 2]])
        #expect(usage.layers == [1, 3] && usage.tokens == [[2, 2, 2, 2], [0, 8, 0, 0]])
        #expect(abs(usage.entropies[0] - log(4)) < 1e-12 && usage.entropies[1] == 0)
        #expect(usage.neverReached == [[], [0, 2, 3]])
    }

    @Test func onlyTheSameExpertsAddUp() {
        let one = usage([0: [1, 2], 3: [4, 5]])
        #expect(one.hasSameExperts(as: usage([0: [7, 0], 3: [0, 7]])))
        for other in [[0: [1, 2]], [0: [1, 2], 4: [4, 5]], [0: [1, 2], 3: [4, 5, 6]]] { #expect(!one.hasSameExperts(as: usage(other))) }
    }

    @Test func stepsAddUp() throws {
        var total = ExpertUsage()
        for step in 1...3 { total.add(usage([0: [step, 0], 1: [0, step]])) }
        total.add(ExpertUsage())
        #expect(total == usage([0: [6, 0], 1: [0, 6]]))
        #expect(try JSONDecoder().decode(ExpertUsage.self, from: JSONEncoder().encode(total)) == total)
    }
}
