import Checkpoints
import Datasets
import Foundation
import Layers
import TensorCore
import Testing
import Training

/// Whole runs: interrupted anywhere and resumed, checkpoints rotated, metrics cut back.
@Suite struct TrainingRunTests {
    private static let steps = 12
    private static let lengths = (0..<30).map { 5 + $0 * 13 % 47 }
    private let one: Compute
    private let three: Compute

    init() throws { (one, three) = (try Compute(threadCount: 1), try Compute(threadCount: 3)) }

    /// What a run leaves: how it ended, the files of its newest checkpoint, and its metrics without speeds.
    private struct Result: Equatable {
        let outcome: TrainingOutcome
        let adapter, moments: Data
        let metrics: [String]
    }

    private func create(_ root: URL) throws -> URL {
        let place = root.appendingPathComponent("run-\(UUID().uuidString)")
        _ = try RunFolder.create(place, recipe: Data(), resolved: Data("r".utf8), overwrite: false)
        return place
    }

    /// Trains, or resumes, the run in a folder until `stop` steps of this process are done.
    @discardableResult
    private func train(
        _ place: URL, on compute: Compute, stopAfter stop: Int? = nil, rate: Double = 2e-3,
        _ change: (inout TrainingRun.Settings) -> Void = { _ in }, report: (TrainingEvent) throws -> Void = { _ in }
    ) throws -> Result {
        let folder = try RunFolder(opening: place)
        let checkpoint = try folder.newestCheckpoint { Issue.record("\($0)") }
        let bench = try Bench(
            rate: rate, decay: .cosine, steps: Self.steps, dropout: 0.1, maxGradientNorm: 1, from: checkpoint?.folder,
            on: compute)
        let stream = try BatchStream(
            dataset: EncodedDataset(examples(Self.lengths)), options: BatchOptions(size: .tokens(96)),
            accumulationSteps: 2,
            epochs: nil, cursor: checkpoint?.state.cursor ?? DataCursor())
        var settings = TrainingRun.Settings(totalSteps: Self.steps, evaluateEverySteps: 5, baseModel: "tiny")
        change(&settings)
        let run = try TrainingRun(
            trainer: bench.trainer, adapter: bench.adapter, stream: stream,
            validation: [EncodedDataset(examples([30, 20], seed: 5))], settings: settings, folder: folder,
            identity: identity,
            resuming: checkpoint, on: compute)
        var left = stop ?? .max
        let outcome = try run.run(
            shouldStop: {
                left -= 1
                return left == 0
            }, report: report)
        let newest = place.appendingPathComponent("checkpoints/latest")
        return Result(
            outcome: outcome, adapter: try Data(contentsOf: newest.appendingPathComponent("adapter_model.safetensors")),
            moments: try Data(contentsOf: newest.appendingPathComponent("optimizer.safetensors")),
            metrics: try metrics(place))
    }

    /// Lines of the log without the speed, which differs from run to run.
    private func metrics(_ place: URL) throws -> [String] {
        let text = try String(contentsOf: place.appendingPathComponent("metrics.jsonl"), encoding: .utf8)
        return try text.split(separator: "\n").map { line in
            var object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
            object["tokens_per_second"] = nil
            return String(
                decoding: try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys]), as: UTF8.self)
        }
    }

    private func checkpoints(_ place: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: place.appendingPathComponent("checkpoints").path).sorted()
    }

    private func target(_ link: String, _ place: URL) throws -> String {
        try FileManager.default.destinationOfSymbolicLink(
            atPath: place.appendingPathComponent("checkpoints/" + link).path)
    }

    @Test func interruptedAfterAnyStepItEndsWithTheSameBits() throws {
        try withFolder { root in
            let whole = try train(try create(root), on: one)
            #expect(whole.outcome == .finished)
            // 12 steps, and evaluations before the first, after 5, 10 and the last.
            #expect(whole.metrics.count == Self.steps + 4)
            for step in 1..<Self.steps {
                let place = try create(root)
                let stopped = try train(place, on: step % 2 == 0 ? one : three, stopAfter: step)
                #expect(stopped.outcome == .stopped && stopped.adapter != whole.adapter)
                #expect(try target("latest", place) == "step-" + String(format: "%06d", step))
                let resumed = try train(place, on: step % 2 == 0 ? three : one)
                #expect(resumed == whole, "interrupted after step \(step)")
            }
        }
    }

    @Test func interruptedAfterEveryStepItEndsWithTheSameBits() throws {
        try withFolder { root in
            let whole = try train(try create(root), on: three)
            let place = try create(root)
            for step in 1..<Self.steps {
                #expect(try train(place, on: step % 3 == 0 ? three : one, stopAfter: 1).outcome == .stopped)
            }
            #expect(try train(place, on: one) == whole)
        }
    }

    /// A process that is killed leaves metrics of steps that its newest whole checkpoint lacks.
    @Test func linesAfterTheCheckpointAreCutBack() throws {
        try withFolder { root in
            let whole = try train(try create(root), on: one)
            let place = try create(root)
            struct Killed: Error {}
            #expect(throws: Killed.self) {
                try train(place, on: one, { $0.checkpointEverySteps = 4 }) {
                    if case .step(let report, _, _) = $0, report.step == 7 { throw Killed() }
                }
            }
            #expect(try metrics(place).count == 1 + 7 + 1)
            let log = place.appendingPathComponent("metrics.jsonl")
            try (Data(contentsOf: log) + Data(#"{"step":8,"lo"#.utf8)).write(to: log)
            #expect(try train(place, on: one) == whole)
        }
    }

    @Test func damagedNewestCheckpointIsSkipped() throws {
        try withFolder { root in
            let whole = try train(try create(root), on: one)
            let place = try create(root)
            try train(place, on: one, stopAfter: 7) { $0.checkpointEverySteps = 4 }
            // Before it is that of step 5, whose evaluation was the best.
            let newest = place.appendingPathComponent("checkpoints/step-000007/optimizer.safetensors")
            try Data("x".utf8).write(to: newest)
            var notes: [String] = []
            #expect(try RunFolder(opening: place).newestCheckpoint { notes.append($0) }?.state.step == 5)
            #expect(notes.count == 1 && notes[0].contains("step-000007") && notes[0].contains("optimizer.safetensors"))
            try FileManager.default.removeItem(at: newest)
            #expect(try RunFolder(opening: place).newestCheckpoint { _ in }?.state.step == 5)
            let stale = place.appendingPathComponent("checkpoints/step-000007")
            try FileManager.default.removeItem(at: stale)
            #expect(try train(place, on: one) == whole)
        }
    }

    @Test func rotationKeepsTheNewestAndTheBest() throws {
        try withFolder { root in
            let place = try create(root)
            try train(place, on: one) { ($0.checkpointEverySteps, $0.keep, $0.evaluateEverySteps) = (1, 3, 100) }
            // The only evaluation that counts is after the last step: it is the best.
            #expect(try checkpoints(place) == ["best", "latest", "step-000010", "step-000011", "step-000012"])
            #expect(try target("latest", place) == "step-000012" && target("best", place) == "step-000012")
        }
    }

    /// Which rate makes the loss rise again before the end depends on the last bits; one of these does.
    @Test func bestCheckpointOutlivesRotation() throws {
        let rose = try [0.02, 0.05, 0.1, 0.2, 0.4].contains { rate in
            try withFolder { try runWhoseBestIsEarly(at: $0, rate: rate) }
        }
        #expect(rose, "the losses do not rise at any rate")
    }

    /// Trains, and if the lowest loss came early enough to be rotated away, checks that it was not.
    private func runWhoseBestIsEarly(at root: URL, rate: Double) throws -> Bool {
        let place = try create(root)
        var evaluations: [(step: Int, loss: Double, isBest: Bool)] = []
        try train(place, on: one, rate: rate, { ($0.checkpointEverySteps, $0.keep, $0.evaluateEverySteps) = (1, 2, 1) }) {
            if case .evaluation(let step, let loss, _, let isBest) = $0, step > 0 { evaluations.append((step, loss, isBest)) }
        }
        let best = try #require(evaluations.min { $0.loss < $1.loss })
        #expect(evaluations.count == Self.steps && evaluations.last { $0.isBest }?.step == best.step)
        guard best.step < Self.steps - 2 else { return false }
        let name = "step-" + String(format: "%06d", best.step)
        #expect(try checkpoints(place) == ["best", "latest", name, "step-000011", "step-000012"])
        #expect(try target("best", place) == name)
        let latest = place.appendingPathComponent("checkpoints/latest").resolvingSymlinksInPath()
        let state = try TrainingCheckpoint(latest).state
        #expect(state.bestStep == best.step && state.bestLoss == best.loss && state.isFinished)
        return true
    }

    /// Stops as soon as two evaluations in a row bring nothing; at which rate that happens depends on the last bits.
    @Test func earlyStoppingEndsTheRun() throws {
        let stopped = try [0.2, 0.4, 0.1, 0.8].contains { rate in
            try withFolder { root in
                let place = try create(root)
                var (last, losses) = (0, [Double]())
                let result = try train(place, on: one, rate: rate, { ($0.evaluateEverySteps, $0.earlyStopping) = (1, 2) }) {
                    if case .step(let report, _, _) = $0 { last = report.step }
                    if case .evaluation(let step, let loss, _, _) = $0, step > 0 { losses.append(loss) }
                }
                guard result.outcome == .finished, last < Self.steps else { return false }
                let best = try #require(losses.indices.min { losses[$0] < losses[$1] })
                #expect(losses.count == last && best == last - 3)
                return true
            }
        }
        #expect(stopped, "no run stops early at any rate")
    }

    @Test func foldersAreProtected() throws {
        try withFolder { root in
            let place = try create(root)
            let folder = try RunFolder(opening: place)
            guard case .runInUse = trainingError({ _ = try RunFolder(opening: place) }) else {
                Issue.record("a run was opened twice")
                return
            }
            withExtendedLifetime(folder) {}
        }
        try withFolder { root in
            guard case .notARun = trainingError({ _ = try RunFolder(opening: root) }) else {
                Issue.record("an empty folder was opened as a run")
                return
            }
            let place = try create(root)
            func problem(overwrite: Bool) -> TrainingError? {
                trainingError {
                    _ = try RunFolder.create(place, recipe: Data(), resolved: Data(), overwrite: overwrite)
                }
            }
            guard case .runExists = problem(overwrite: false) else {
                Issue.record("a run was replaced without being asked for")
                return
            }
            #expect(problem(overwrite: true) == nil)
        }
    }
}
