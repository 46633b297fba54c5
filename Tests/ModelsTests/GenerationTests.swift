import Autograd
import Foundation
import Layers
import Models
import TensorCore
import Testing

/// Decoding token by token.
@Suite struct GenerationTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    @Test(arguments: references) func greedyIdsAreThoseOfTheReference(name: String) throws {
        let reference = try Reference(name)
        let greedy = reference.section("greedy")
        let prompt = (greedy["prompt"] as? [Int] ?? []).map { Int32($0) }
        let expected = (greedy["output"] as? [Int] ?? []).map { Int32($0) }
        let model = try reference.model(on: compute)
        var received: [Int32] = []
        let found = Generation(
            from: model, prompt: prompt, maxTokens: expected.count, stopTokens: [], sampler: TokenSampler(), on: compute
        ) {
            received.append($0)
            return true
        }
        #expect(found.ids == expected && expected.count == 24)
        #expect(received == expected && found.stopReason == .length)
        let third = Generation(
            from: model, prompt: prompt, maxTokens: 24, stopTokens: [expected[2]], sampler: TokenSampler(), on: compute)
        let first = expected.firstIndex(of: expected[2]) ?? 0
        #expect(third.ids == Array(expected[..<first]) && third.stopReason == .endOfText)
        let cancelled = Generation(
            from: model, prompt: prompt, maxTokens: 24, stopTokens: [], sampler: TokenSampler(), on: compute
        ) { _ in false }
        #expect(cancelled.ids == Array(expected[..<1]) && cancelled.stopReason == .cancelled)
    }

    @Test(arguments: references, [[1], [12, 1], [5, 7, 1, 3]])
    func cacheGivesTheLogitsOfTheWholeSequence(name: String, pieces: [Int]) throws {
        let reference = try Reference(name)
        let model = try reference.model(on: compute)
        let adapter = try reference.attachAdapter(to: model, on: compute)
        #expect(!adapter.layers.isEmpty)
        let ids = Array(try reference.ids("long_input_ids").prefix(40))
        let whole = model.logits(ids, layout: SequenceLayout(count: ids.count), on: compute).toArray()
        let cache = KeyValueCache()
        for piece in pieces + [Int](repeating: 1, count: ids.count) where cache.count < ids.count {
            let next = Array(ids[cache.count..<min(ids.count, cache.count + piece)])
            let layout = SequenceLayout(count: next.count, after: cache.count)
            let logits = model.nextTokenLogits(next, layout: layout, cache: cache, on: compute).toArray()
            let row = (cache.count - 1) * 288
            #expect(largestDifference(logits, Array(whole[row..<row + 288])) < Tolerance.logits, "token \(cache.count)")
        }
        #expect(cache.count == ids.count)
    }

    /// A cache that has grown more than once gives what the whole sequence gives.
    @Test func theCacheGrows() throws {
        let reference = try Reference("llama")
        let model = try reference.model(on: compute)
        let ids = (0..<240).map { Int32(($0 * 37 + 11) % 288) }
        let whole = model.logits(ids, layout: SequenceLayout(count: ids.count), on: compute).toArray()
        let cache = KeyValueCache()
        for token in ids {
            let layout = SequenceLayout(count: 1, after: cache.count)
            let logits = model.nextTokenLogits([token], layout: layout, cache: cache, on: compute).toArray()
            let row = (cache.count - 1) * 288
            #expect(largestDifference(logits, Array(whole[row..<row + 288])) < Tolerance.logits, "token \(cache.count)")
        }
    }

    @Test func samplingIsReproducibleAndFollowsTheProbabilities() {
        let logits = compute.tensor([0, 1.0986123, -200, 1.0986123], shape: [4])
        func counts(_ sampler: TokenSampler, draws: Int) -> [Int] {
            var (sampler, counts) = (sampler, [0, 0, 0, 0])
            for _ in 0..<draws { counts[Int(sampler.next(logits))] += 1 }
            return counts
        }
        let free = counts(TokenSampler(temperature: 1, seed: 3), draws: 7000)
        #expect(free == counts(TokenSampler(temperature: 1, seed: 3), draws: 7000))
        #expect(free != counts(TokenSampler(temperature: 1, seed: 4), draws: 7000))
        // Probabilities 1/7, 3/7, 0, 3/7; four standard deviations of 7000 draws are about 170.
        for (found, expected) in zip(free, [1000, 3000, 0, 3000]) { #expect(abs(found - expected) < 170) }
        #expect(counts(TokenSampler(temperature: 1, topP: 0.8, seed: 3), draws: 500)[0] == 0)
        #expect(counts(TokenSampler(temperature: 1, topP: 0.01, seed: 3), draws: 50) == [0, 50, 0, 0])
        #expect(counts(TokenSampler(temperature: 0), draws: 5) == [0, 5, 0, 0])
    }

    @Test func topPKeepsTheFewestLikelyTokens() {
        let values = (0..<2000).map { Float(sin(Double($0) * 12.9898)) * 6 }
        let logits = compute.tensor(values, shape: [values.count])
        let weights = values.map { exp(Double($0)) }
        let order = weights.indices.sorted { weights[$0] > weights[$1] }
        for topP in [0.05, 0.5, 0.99] {
            var (sum, kept) = (0.0, Set<Int>())
            for token in order where sum < topP * weights.reduce(0, +) {
                sum += weights[token]
                kept.insert(token)
            }
            var sampler = TokenSampler(temperature: 1, topP: topP, seed: 5)
            let drawn = Set((0..<400).map { _ in Int(sampler.next(logits)) })
            #expect(drawn.isSubset(of: kept) && drawn.count > min(20, kept.count / 2), "\(topP): \(drawn.count)")
        }
    }
}
