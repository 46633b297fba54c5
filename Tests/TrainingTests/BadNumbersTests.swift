import Autograd
import Datasets
import Foundation
import Layers
import TensorCore
import Testing
import Training

/// Numbers that go bad: what is named, and what the three policies do. One token spoils the records in which it stands.
@Suite struct BadNumbersTests {
    /// What the token makes bad.
    enum Fault: CaseIterable {
        /// Its embedding is NaN, and so is everything after it.
        case loss
        /// The loss is a number, but going back from it leads to infinity.
        case gradient

        var kind: NumericProblem.Kind { self == .loss ? .loss : .gradient }
        /// What can be adapted without opening the gate that hides the infinity from the loss.
        var targets: ModuleSelection { self == .loss ? .group(.allLinear) : .names(["q_proj"]) }

        func model(in root: URL) throws -> URL {
            switch self {
            case .loss: try poisonedModel("model.embed_tokens.weight", row: Int(BadNumbersTests.token), in: root)
            case .gradient: try overflowingModel(token: Int(BadNumbersTests.token), in: root)
            }
        }
    }

    private static let steps = 8
    private static let token: Int32 = 287
    private let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    /// Records of up to 30 tokens without the bad one, but for those of the given lines.
    private func records(_ count: Int, badLines: Set<Int>) -> [EncodedExample] {
        examples((0..<count).map { 6 + $0 * 7 % 25 }).enumerated().map { index, example in
            var ids = example.ids.map { $0 == Self.token ? 1 : $0 }
            if badLines.contains(index + 1) { ids[3] = Self.token }
            return EncodedExample(ids: ids, line: index + 1)
        }
    }

    private func problem(_ body: () throws -> Void) -> NumericProblem? {
        if case .nonFinite(let problem, _) = trainingError(body) { problem } else { nil }
    }

    @Test func theRecordAndThePlaceAreNamed() throws {
        try withFolder { root in
            let base = try Fault.loss.model(in: root)
            let bench = try Bench(base: base, on: compute)
            let dataset = EncodedDataset(records(9, badLines: [6, 8]), source: "d.jsonl")
            let batches = [dataset.batch(of: [0, 1, 2]), dataset.batch(of: [3, 4, 5, 7]), dataset.batch(of: [8])]
            let problem = problem { _ = try bench.trainer.step(batches) }
            #expect(problem?.step == 1 && problem?.kind == .loss && problem?.origin == "embedding")
            #expect(problem?.records.map(\.description) == ["d.jsonl:6", "d.jsonl:8"])
            #expect(problem?.description.contains("first in the embedding, on d.jsonl:6, d.jsonl:8") == true)
            #expect(try bench.trainer.step([batches[0], batches[2]]).loss.isFinite)
        }
    }

    /// The loss of every record is a number, and so is its own.
    @Test(arguments: [false, true]) func aBadGradientIsNamed(recompute: Bool) throws {
        try withFolder { root in
            let base = try Fault.gradient.model(in: root)
            let bench = try Bench(base: base, targets: Fault.gradient.targets, recompute: recompute, on: compute)
            let dataset = EncodedDataset(records(9, badLines: [6, 8]), source: "d.jsonl")
            #expect(try Evaluation(of: bench.model, on: dataset, compute: compute).loss.isFinite)
            let batches = [dataset.batch(of: [0, 1, 2]), dataset.batch(of: [3, 4, 5, 7]), dataset.batch(of: [8])]
            let before = bench.adapter.parameters.map { $0.value.toArray() }
            let problem = problem { _ = try bench.trainer.step(batches) }
            #expect(problem?.step == 1 && problem?.kind == .gradient)
            #expect(problem?.origin == "gradient of gated linear in layers.1")
            #expect(problem?.records.map(\.description) == ["d.jsonl:6", "d.jsonl:8"])
            #expect(bench.adapter.parameters.map { $0.value.toArray() } == before && bench.trainer.stepsDone == 0)
            let sentence = "the gradient became NaN or infinite in step 1, first in the gradient of gated linear in layers.1"
            #expect(problem?.description == sentence + ", on d.jsonl:6, d.jsonl:8")
            #expect(try bench.trainer.step([batches[0], batches[2]]).gradientNorm.isFinite)
        }
    }

    @Test(arguments: [false, true]) func theLayerIsNamed(recompute: Bool) throws {
        try withFolder { root in
            let base = try poisonedModel("model.layers.1.mlp.up_proj.weight", row: 3, in: root)
            let bench = try Bench(base: base, recompute: recompute, on: compute)
            let problem = problem { _ = try bench.trainer.step([TokenBatch(records(2, badLines: []))]) }
            #expect(problem?.origin == "gated linear in layers.1" && problem?.records.count == 2)
        }
    }

    @Test func aParameterThatRunsAwayIsNamed() throws {
        let bench = try Bench(rate: 1e9, on: compute)
        let problem = problem { _ = try bench.trainer.step([TokenBatch(records(2, badLines: []))]) }
        guard case .parameter(let norm) = problem?.kind else {
            Issue.record("\(String(describing: problem))")
            return
        }
        #expect(norm > 1e6 && problem?.origin?.contains(".lora_") == true && problem?.step == 1)
    }

    /// A step divides by the sum of its weights: one so small that float32 has no such quotient changes nothing.
    @Test func weightsTooSmallToDivideByAreRefused() throws {
        let bench = try Bench(on: compute)
        bench.stir()
        let example = records(1, badLines: [])[0]
        let light = EncodedExample(ids: example.ids, weights: example.ids.map { _ in .leastNonzeroMagnitude })
        let before = bench.adapter.parameters.map { $0.value.toArray() }
        #expect(problem { _ = try bench.trainer.step([TokenBatch([light])]) }?.kind == .gradient)
        #expect(bench.adapter.parameters.map { $0.value.toArray() } == before && bench.trainer.stepsDone == 0)
    }

    // MARK: Runs

    private struct Result: Equatable {
        let adapter, moments: Data
        let state: TrainingState
        let metrics: [String]
    }

    private func train(
        _ place: URL, _ base: URL, _ policy: NaNPolicy, _ fault: Fault = .loss, bad: Set<Int>, rate: Double = 2e-3,
        stopAfter stop: Int? = nil, report: (TrainingEvent) throws -> Void = { _ in }
    ) throws -> Result {
        if !FileManager.default.fileExists(atPath: place.path) {
            _ = try RunFolder.create(place, recipe: Data(), resolved: Data("r".utf8), overwrite: false)
        }
        let folder = try RunFolder(opening: place)
        let checkpoint = try folder.newestCheckpoint { Issue.record("\($0)") }
        let bench = try Bench(
            rate: rate, decay: .cosine, steps: Self.steps, dropout: 0.1, maxGradientNorm: 1, from: checkpoint?.folder,
            base: base, targets: fault.targets, on: compute)
        let stream = try BatchStream(
            dataset: EncodedDataset(records(32, badLines: bad), source: "/secret/d.jsonl"),
            options: BatchOptions(size: .sequences(2), shuffle: false), accumulationSteps: 2, epochs: 1,
            cursor: checkpoint?.state.cursor ?? DataCursor())
        let run = try TrainingRun(
            trainer: bench.trainer, adapter: bench.adapter, stream: stream, validation: [],
            settings: TrainingRun.Settings(
                totalSteps: Self.steps, checkpointEverySteps: 3, onNaN: policy, baseModel: "tiny"),
            folder: folder, identity: identity, resuming: checkpoint, on: compute)
        var left = stop ?? .max
        _ = try run.run(
            shouldStop: {
                left -= 1
                return left == 0
            }, report: report)
        let newest = place.appendingPathComponent("checkpoints/latest")
        let text = try String(contentsOf: place.appendingPathComponent("metrics.jsonl"), encoding: .utf8)
        return Result(
            adapter: try Data(contentsOf: newest.appendingPathComponent("adapter_model.safetensors")),
            moments: try Data(contentsOf: newest.appendingPathComponent("optimizer.safetensors")), state: run.state,
            metrics: text.split(separator: "\n").map { line in
                line.split(separator: ",").filter { !$0.contains("tokens_per_second") }.joined(separator: ",")
            })
    }

    /// Line 18 of four records a step is in step 5.
    @Test(arguments: Fault.allCases) func stopLeavesTheLastCheckpoint(fault: Fault) throws {
        try withFolder { root in
            let base = try fault.model(in: root)
            let place = root.appendingPathComponent("run")
            let problem = problem { _ = try train(place, base, .stop, fault, bad: [18]) }
            #expect(problem?.kind == fault.kind && problem?.step == 5 && problem?.records.map(\.line) == [18])
            let checkpoint = try RunFolder(opening: place).newestCheckpoint { Issue.record("\($0)") }
            #expect(checkpoint?.state.step == 3)
            let link = place.appendingPathComponent("checkpoints/latest").path
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "step-000003")
        }
    }

    @Test(arguments: Fault.allCases) func skipLeavesTheStepOut(fault: Fault) throws {
        try withFolder { root in
            let base = try fault.model(in: root)
            let whole = try train(root.appendingPathComponent("whole"), base, .skip, fault, bad: [18, 31])
            #expect(whole.state.step == Self.steps && whole.state.skippedSteps == 2 && whole.state.isFinished)
            #expect(whole.metrics.count == Self.steps)
            let skipped = whole.metrics.filter { $0.contains("skipped\"") }
            #expect(skipped.count == 2 && skipped[0].contains("d.jsonl:18") && !skipped[0].contains("secret"))
            #expect(skipped[0].contains("\"step\":5") && skipped[1].contains("\"step\":8"))
            for step in 1..<Self.steps {
                let place = root.appendingPathComponent("run-\(step)")
                _ = try train(place, base, .skip, fault, bad: [18, 31], stopAfter: step)
                #expect(try train(place, base, .skip, fault, bad: [18, 31]) == whole, "interrupted after step \(step)")
            }
        }
    }

    @Test(arguments: Fault.allCases) func rollbackGoesBackAndPassesOver(fault: Fault) throws {
        try withFolder { root in
            let base = try fault.model(in: root)
            var events: [Int] = []
            let whole = try train(root.appendingPathComponent("whole"), base, .rollback, fault, bad: [2, 18]) {
                if case .step(let report, _, _) = $0 { events.append(report.step) }
            }
            #expect(whole.state.rollbacks == 2 && whole.state.passedOver == [1, 5] && whole.state.skippedSteps == 2)
            #expect(events == [2, 3, 4, 4, 6, 7, 8])
            #expect(whole.metrics.count == Self.steps)
            // What is left out is the same as with skip, so the result is too.
            let skipping = try train(root.appendingPathComponent("skip"), base, .skip, fault, bad: [2, 18])
            #expect(skipping.adapter == whole.adapter && skipping.moments == whole.moments)
            for step in 1..<Self.steps - 1 {
                let place = root.appendingPathComponent("run-\(step)")
                _ = try train(place, base, .rollback, fault, bad: [2, 18], stopAfter: step)
                #expect(try train(place, base, .rollback, fault, bad: [2, 18]) == whole, "interrupted after \(step) steps")
            }
        }
    }

    /// A policy that would go on for ever gives up.
    @Test func hopelessRunsEnd() throws {
        try withFolder { root in
            func ending(_ policy: NaNPolicy, rate: Double) -> TrainingError? {
                trainingError {
                    _ = try train(root.appendingPathComponent("\(policy)"), tinyFolder, policy, bad: [], rate: rate)
                }
            }
            guard case .givenUp(let problem, _, _) = ending(.rollback, rate: 1e9) else {
                Issue.record("rolled back for ever")
                return
            }
            #expect(problem.step == 6, "steps 1 to 5 are passed over")
            // An update that has spoilt a parameter is not undone by leaving steps out.
            guard case .nonFinite = ending(.skip, rate: 1e9) else {
                Issue.record("went on with spoilt parameters")
                return
            }
        }
    }
}
