import Autograd
import Datasets
import Layers
import TensorCore
import Testing
import Training

/// One optimiser step: accumulation, clipping, refusal.
@Suite struct TrainerTests {
    let compute: Compute
    let lengths = [17, 5, 40, 23]
    /// ‖a − b‖ / ‖b‖ of a gradient whose tokens are summed in another order; up to 2e-6 was seen.
    static let otherOrder = 4e-6

    init() throws { compute = try Compute(threadCount: 2) }

    /// Gradients of one step on the given cut into micro-batches.
    private func gradients(_ cut: [[Int]], dropout: Float) throws -> (loss: Double, gradients: [[Double]]) {
        let bench = try Bench(dropout: dropout, on: compute)
        bench.stir()
        let all = examples(lengths)
        let report = try bench.trainer.step(window(cut.map { $0.map { all[$0] } }))
        #expect(report.tokens == 85 && report.step == 1)
        return (report.loss, bench.firstGradients)
    }

    @Test(arguments: [Float(0), 0.1]) func cutIntoMicroBatchesDoesNotMatter(dropout: Float) throws {
        let whole = try gradients([[0, 1, 2, 3]], dropout: dropout)
        for cut in [[[0], [1], [2], [3]], [[0, 1], [2, 3]], [[0], [1, 2, 3]]] {
            let pieces = try gradients(cut, dropout: dropout)
            #expect(abs(pieces.loss / whole.loss - 1) < 1e-6)
            for (a, b) in zip(pieces.gradients, whole.gradients) {
                #expect(relativeError(a, b) < Self.otherOrder, "\(cut)")
            }
        }
        #expect(whole.gradients.allSatisfy { $0.contains { $0 != 0 } })
    }

    /// Examples share a batch without a trace: their losses and gradients add up to those of each one alone.
    @Test func packedExamplesTrainAsIfEachWereAlone() throws {
        let dataset = EncodedDataset(examples([17, 5, 40, 23, 9, 31, 12]))
        func run(_ size: BatchOptions.Size, packing: Bool) throws -> (loss: Double, gradients: [[Double]], batches: Int) {
            var stream = try BatchStream(
                dataset: dataset, options: BatchOptions(size: size, packing: packing, shuffle: false), accumulationSteps: 100,
                epochs: 1)
            let next = try stream.nextWindow()
            let window = try #require(next)
            let bench = try Bench(on: compute)
            bench.stir()
            return (try bench.trainer.step(window).loss, bench.firstGradients, window.count)
        }
        let (alone, packed) = (try run(.sequences(1), packing: false), try run(.tokens(64), packing: true))
        #expect(alone.batches == 7 && packed.batches == 3)
        #expect(abs(packed.loss / alone.loss - 1) < 1e-6)
        for (a, b) in zip(packed.gradients, alone.gradients) { #expect(relativeError(a, b) < 1e-5) }
    }

    /// Parameters after two steps on two micro-batches, computed with less memory.
    private func parameters(recompute: Bool = false, split: Int? = nil) throws -> [[Float]] {
        let bench = try Bench(dropout: 0.1, maxGradientNorm: 1, recompute: recompute, on: compute)
        bench.stir()
        bench.trainer.splitTokens = split
        let all = examples(lengths)
        for _ in 0..<2 { _ = try bench.trainer.step(window([all, [all[1], all[2]]])) }
        return bench.adapter.parameters.map { $0.value.toArray() }
    }

    @Test func recomputationChangesNoBit() throws {
        #expect(try parameters(recompute: true) == parameters())
    }

    @Test(arguments: [1, 30, 45, 62]) func piecesOfMicroBatchesTrainAlike(limit: Int) throws {
        let (whole, pieces) = (try parameters(), try parameters(split: limit))
        for (a, b) in zip(pieces, whole) { #expect(relativeError(a.map(Double.init), b.map(Double.init)) < 1e-5) }
        #expect(try parameters(recompute: true, split: limit) == pieces)
    }

    /// Weights of 1 change no bit; others weigh the mean, over micro-batches as within one.
    @Test func tokensCountByTheirWeights() throws {
        let all = examples([17, 9])
        func step(_ weights: [Float]?, cut: [[Int]] = [[0, 1]]) throws -> (loss: Double, gradients: [[Double]]) {
            let bench = try Bench(on: compute)
            bench.stir()
            let weighted = zip(all, weights ?? [1, 1]).map { example, weight in
                EncodedExample(
                    ids: example.ids, labels: example.labels, weights: weights.map { _ in example.ids.map { _ in weight } })
            }
            let loss = try bench.trainer.step(window(cut.map { $0.map { weighted[$0] } })).loss
            return (loss, bench.firstGradients)
        }
        let (plain, ones) = (try step(nil), try step([1, 1]))
        #expect(plain.loss == ones.loss && plain.gradients == ones.gradients)
        let bench = try Bench(on: compute)
        bench.stir()
        let alone = try all.map { try Evaluation(of: bench.model, on: EncodedDataset([$0]), compute: compute) }
        let weights: [Float] = [0.25, 3]
        let counts = zip(alone, weights).map { Double($0.supervisedTokens) * Double($1) }
        let expected = zip(alone, counts).reduce(0) { $0 + $1.0.loss * $1.1 } / counts.reduce(0, +)
        let (weighted, parts) = (try step(weights), try step(weights, cut: [[0], [1]]))
        #expect(abs(weighted.loss / expected - 1) < 1e-6)
        #expect(abs(parts.loss / expected - 1) < 1e-6)
        for (a, b) in zip(parts.gradients, weighted.gradients) { #expect(relativeError(a, b) < 1e-5) }
        #expect(relativeError(weighted.gradients[0], plain.gradients[0]) > 1e-3)
        // Only the proportions matter.
        for (a, b) in zip(try step([0.5, 6]).gradients, weighted.gradients) { #expect(relativeError(a, b) < 1e-5) }
    }

    @Test func dropoutChangesGradientsFromStepToStep() throws {
        let plain = try gradients([[0, 1, 2, 3]], dropout: 0)
        #expect(try relativeError(gradients([[0, 1, 2, 3]], dropout: 0.1).gradients[0], plain.gradients[0]) > 1e-3)
        let bench = try Bench(rate: 0, dropout: 0.3, on: compute)
        bench.stir()
        let batch = window([examples(lengths)])
        #expect(try bench.trainer.step(batch).loss != bench.trainer.step(batch).loss)
    }

    @Test func gradientsAreClippedToTheirNorm() throws {
        func run(_ limit: Double) throws -> (report: Trainer.StepReport, norm: Double) {
            let bench = try Bench(maxGradientNorm: limit, on: compute)
            bench.stir()
            let report = try bench.trainer.step(window([examples(lengths)]))
            return (report, bench.firstGradients.joined().reduce(0) { $0 + $1 * $1 }.squareRoot())
        }
        let free = try run(0)
        #expect(abs(free.norm / free.report.gradientNorm - 1) < 1e-5 && free.norm > 0.01)
        let limit = free.norm / 3
        let clipped = try run(limit)
        #expect(clipped.report.gradientNorm == free.report.gradientNorm)
        #expect(abs(clipped.norm / limit - 1) < 1e-4)
        #expect(abs(try run(free.norm * 2).norm / free.norm - 1) < 1e-5)
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity]) func nonFiniteNumbersUpdateNothing(value: Float) throws {
        let bench = try Bench(on: compute)
        bench.stir()
        bench.adapter.parameters[1].update { $0[3] = value }
        let before = bench.adapter.parameters.map { $0.value.toArray().map(\.bitPattern) }
        let error = trainingError { _ = try bench.trainer.step(window([examples(lengths)])) }
        guard case .nonFinite(let problem, _) = error else {
            Issue.record("\(value) was trained on: \(String(describing: error))")
            return
        }
        #expect(problem.step == 1 && problem.origin == "parameter " + bench.adapter.parameters[1].name)
        #expect(bench.trainer.optimizer.step == 0)
        #expect(bench.adapter.parameters.map { $0.value.toArray().map(\.bitPattern) } == before)
        #expect(bench.trainer.optimizer.first.allSatisfy { $0.toArray().allSatisfy { $0 == 0 } })
        bench.adapter.parameters[1].update { $0[3] = 0 }
        #expect(try bench.trainer.step(window([examples(lengths)])).loss.isFinite)
    }

    @Test func idsOutsideTheVocabularyAreRefused() throws {
        let bench = try Bench(on: compute)
        for (ids, labels) in [([1, 288, 3], [1, 2, 3]), ([1, 2, 3], [1, 300, 3]), ([1, -1, 3], [1, 2, 3])]
            as [([Int32], [Int32])]
        {
            let error = trainingError {
                _ = try bench.trainer.step(window([[EncodedExample(ids: ids, labels: labels)]]))
            }
            guard case .tokenOutsideVocabulary(_, 288) = error else {
                Issue.record("\(ids), \(labels): \(String(describing: error))")
                continue
            }
        }
    }

    @Test func evaluationWeighsByTokens() throws {
        let bench = try Bench(on: compute)
        let all = examples(lengths)
        func loss(_ batch: [EncodedExample], tokens: Int = 2048) throws -> Evaluation {
            try Evaluation(of: bench.model, on: EncodedDataset(batch), batchTokens: tokens, compute: compute)
        }
        let whole = try loss(all)
        #expect(abs(try loss(all, tokens: 20).loss - whole.loss) < 1e-6)
        let parts = Evaluation(combining: [try loss(Array(all[..<1])), try loss(Array(all[1...]))])
        #expect(
            abs(parts.loss - whole.loss) < 1e-6 && parts.supervisedTokens == whole.supervisedTokens
                && parts.tokens == 85)
        #expect(abs(try bench.trainer.step(window([all])).loss - whole.loss) < 1e-6)
        let nothing = [EncodedExample(ids: [1, 2], labels: [-100, -100])]
        #expect(try loss(nothing).loss.isNaN && loss(nothing).supervisedTokens == 0)
        #expect(abs(Evaluation(combining: [try loss(nothing), whole]).loss - whole.loss) < 1e-12)
    }

    /// Misses of the buffer pool and bytes in use, after the longest batch and then after each of three times 50 steps of
    /// other lengths every time.
    private func bufferUse(threads: Int) throws -> [(misses: Int, live: Int)] {
        let compute = try Compute(threadCount: threads)
        let bench = try Bench(dropout: 0.1, on: compute)
        func step(_ lengths: [Int], _ last: Int) throws {
            _ = try bench.trainer.step(window([examples(lengths), examples([last])]))
        }
        try step([129, 52], 26)
        return try (0..<4).map { round in
            for number in round * 50..<(round == 0 ? 0 : round * 50 + 50) {
                try step([40 + number * 37 % 90, 3 + number * 11 % 50], 20 + number % 7)
            }
            let statistics = compute.buffers.statistics
            return (statistics.misses, statistics.liveBytes)
        }
    }

    /// After the longest batch no step asks the system for memory, whatever its lengths, and none keeps any.
    @Test(arguments: [1, 3]) func stepsReuseTheirBuffers(threads: Int) throws {
        let use = try bufferUse(threads: threads)
        #expect(use.map(\.misses) == Array(repeating: use[0].misses, count: 4))
        #expect(use.map(\.live) == Array(repeating: use[0].live, count: 4))
    }
}
