import Checkpoints
import Datasets
import Foundation
import Layers
import TensorCore
import Testing
import Training

/// Checkpoints that cannot be written: the run ends loudly, and the one before is still the latest.
@Suite struct SavingTests {
    private let compute: Compute

    init() throws { compute = try Compute(threadCount: 1) }

    /// A run of six steps that saves after each.
    private func run(_ place: URL, freeSpace: ((URL) -> Int?)? = nil, afterStep: (Int) throws -> Void) throws {
        var folder = try RunFolder.create(place, recipe: Data(), resolved: Data("r".utf8), overwrite: false)
        if let freeSpace { folder.freeSpace = freeSpace }
        let bench = try Bench(on: compute)
        let stream = try BatchStream(
            dataset: EncodedDataset(examples([9, 12, 7])), options: BatchOptions(size: .sequences(1)),
            accumulationSteps: 1, epochs: nil)
        let run = try TrainingRun(
            trainer: bench.trainer, adapter: bench.adapter, stream: stream, validation: [],
            settings: TrainingRun.Settings(totalSteps: 6, checkpointEverySteps: 1), folder: folder, identity: identity,
            on: compute)
        _ = try run.run(shouldStop: { false }) {
            if case .step(let report, _, _) = $0 { try afterStep(report.step) }
        }
    }

    private func expectLatest(_ step: Int, _ place: URL) throws {
        let latest = place.appendingPathComponent("checkpoints/latest")
        #expect(try TrainingCheckpoint(latest.resolvingSymlinksInPath()).state.step == step)
        #expect(try RunFolder(opening: place).newestCheckpoint { Issue.record("\($0)") }?.state.step == step)
    }

    @Test func aSaveThatFailsInTheBackgroundEndsTheRun() throws {
        try withFolder { root in
            let place = root.appendingPathComponent("run")
            let (checkpoints, away) = (place.appendingPathComponent("checkpoints"), root.appendingPathComponent("away"))
            var last = 0
            let error = #expect(throws: CheckpointError.self) {
                try run(place) {
                    last = $0
                    if last < 4 { return }
                    // Before the fourth is written, a file takes the place of the folder: also root cannot write then.
                    try FileManager.default.moveItem(at: checkpoints, to: away)
                    try Data().write(to: checkpoints)
                }
            }
            #expect(last == 4 && "\(String(describing: error))".contains("checkpoints"))
            try FileManager.default.removeItem(at: checkpoints)
            try FileManager.default.moveItem(at: away, to: checkpoints)
            try expectLatest(3, place)
        }
    }

    @Test func aFullDiskIsSeenBeforeTheSave() throws {
        try withFolder { root in
            let place = root.appendingPathComponent("run")
            var step = 0
            let needed = TrainingCheckpoint.byteCount(of: try Bench(on: compute).adapter.parameters)
            let error = trainingError {
                try run(place, freeSpace: { _ in step < 3 ? needed : needed - 1 }) { step = $0 }
            }
            guard case .noSpace(_, needed, let free, .checkpoint) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(free == needed - 1 && step == 3)
            #expect("\(String(describing: error))".contains("\(needed) bytes"))
            try expectLatest(2, place)
        }
    }

    /// What is promised to suffice does.
    @Test func aCheckpointTakesNoMoreThanWasAskedFor() throws {
        try withFolder { root in
            let bench = try Bench(on: compute)
            let folder = root.appendingPathComponent("c")
            try TrainingCheckpoint.write(
                TrainingState(identity: identity), adapter: bench.adapter, optimizer: bench.trainer.optimizer,
                baseModel: "tiny", to: folder)
            let size = try FileManager.default.contentsOfDirectory(atPath: folder.path).reduce(0) { sum, name in
                let path = folder.appendingPathComponent(name).path
                return sum + (try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0)
            }
            #expect(size > 0 && size <= TrainingCheckpoint.byteCount(of: bench.adapter.parameters))
        }
    }
}
