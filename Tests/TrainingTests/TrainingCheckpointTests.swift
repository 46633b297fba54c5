import Autograd
import Checkpoints
import Datasets
import Foundation
import Layers
import Models
import TensorCore
import Testing
import Training

/// A checkpoint comes back as it was written, or is refused by name.
@Suite struct TrainingCheckpointTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    private func write(to folder: URL) throws -> (bench: Bench, state: TrainingState) {
        let bench = try Bench(dropout: 0.1, on: compute)
        for _ in 0..<2 { _ = try bench.trainer.step(window([examples([12, 30])])) }
        var state = TrainingState(identity: identity)
        (state.step, state.tokens, state.supervisedTokens) = (2, 84, 64)
        (state.cursor, state.bestLoss, state.bestStep) = (DataCursor(epoch: 1, nextBatch: 3), 1.0 / 3, 1)
        state.loss = 0.1 + 0.2
        try TrainingCheckpoint.write(
            state, adapter: bench.adapter, optimizer: bench.trainer.optimizer, baseModel: "tiny", to: folder)
        return (bench, state)
    }

    @Test func comesBackAsItWasWritten() throws {
        try withFolder { root in
            let folder = root.appendingPathComponent("step-000002")
            let (bench, state) = try write(to: folder)
            let checkpoint = try TrainingCheckpoint(folder)
            #expect(checkpoint.state == state)
            let again = try Bench(from: folder, on: compute)
            #expect(again.adapter.configuration.dropout == 0.1)
            #expect(
                again.adapter.parameters.map { $0.value.toArray() }
                    == bench.adapter.parameters.map { $0.value.toArray() })
            let moments = try checkpoint.moments(of: again.adapter.parameters, on: compute)
            #expect(moments.first.map { $0.toArray() } == bench.trainer.optimizer.first.map { $0.toArray() })
            #expect(moments.second.map { $0.toArray() } == bench.trainer.optimizer.second.map { $0.toArray() })
            #expect(moments.second.contains { $0.toArray().contains { $0 > 0 } })
        }
    }

    private func usage(_ tokens: [Int: [Int]]) -> ExpertUsage {
        let log = RoutingLog()
        for (layer, counts) in tokens { log.add(counts, layer: layer) }
        return ExpertUsage(log)
    }

    /// Counts of updates that no run of so many steps has made.
    @Test(arguments: [-1, 3, Int.max]) func impossibleCountsOfUpdatesAreRefused(count: Int) throws {
        try withFolder { root in
            let folder = root.appendingPathComponent("c")
            let (bench, state) = try write(to: folder)
            var optimizer = bench.trainer.optimizer
            optimizer.restore(
                step: 2, updates: optimizer.updates.map { _ in count }, first: optimizer.first, second: optimizer.second)
            try TrainingCheckpoint.write(state, adapter: bench.adapter, optimizer: optimizer, baseModel: "tiny", to: folder)
            let checkpoint = try TrainingCheckpoint(folder)
            let error = trainingError { _ = try checkpoint.moments(of: bench.adapter.parameters, on: compute) }
            #expect("\(String(describing: error))".contains("was updated \(count) times in 2 steps"))
        }
    }

    @Test func countsOfOtherExpertsAreRefused() throws {
        try withFolder { root in
            let folder = try RunFolder.create(
                root.appendingPathComponent("run"), recipe: Data(), resolved: Data("r".utf8), overwrite: false)
            let place = folder.checkpoint(step: 2)
            let (bench, state) = try write(to: place)
            var changed = state
            (changed.experts, changed.cursor) = (usage([0: [3, 1]]), DataCursor())
            try TrainingCheckpoint.write(
                changed, adapter: bench.adapter, optimizer: bench.trainer.optimizer, baseModel: "tiny", to: place)
            let checkpoint = try TrainingCheckpoint(place)
            let error = trainingError { _ = try shortRun(in: folder, from: checkpoint, on: compute) }
            #expect("\(String(describing: error))".contains("other experts than the model has"))
        }
    }

    /// A checksum protects from accidents only: whoever writes a state can write a checksum that fits.
    @Test func impossibleStatesAreRefused() throws {
        let lies: [(inout TrainingState) -> Void] = [
            { $0.step = -1 }, { $0.tokens = .max }, { $0.supervisedTokens = -5 }, { $0.cursor.epoch = .max },
            { $0.cursor.nextBatch = -1 }, { $0.sourceTokens = [1, .min] }, { $0.evaluationsSinceBest = .max }, { $0.bestStep = 9 },
            { $0.skippedSteps = .min }, { $0.skippedSteps = 3 }, { ($0.skippedSteps, $0.skipsInARow) = (1, 2) },
            { $0.rollbacks = .max }, { $0.passedOver = [.min] }, { $0.experts = usage([0: [1 << 53, 1 << 53]]) },
        ]
        try withFolder { root in
            let folder = root.appendingPathComponent("c")
            let (bench, state) = try write(to: folder)
            for (number, lie) in lies.enumerated() {
                var changed = state
                lie(&changed)
                try TrainingCheckpoint.write(
                    changed, adapter: bench.adapter, optimizer: bench.trainer.optimizer, baseModel: "tiny", to: folder)
                guard case .damagedCheckpoint = trainingError({ _ = try TrainingCheckpoint(folder) }) else {
                    Issue.record("lie \(number) is believed")
                    continue
                }
            }
        }
    }

    @Test(arguments: ["adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors", "state.json"])
    func nothingInACheckpointLeadsOutOfIt(file: String) throws {
        try withFolder { root in
            let (folder, other) = (root.appendingPathComponent("c"), root.appendingPathComponent("other"))
            _ = try write(to: folder)
            try FileManager.default.moveItem(at: folder.appendingPathComponent(file), to: other)
            // The same bytes, but elsewhere; and a pipe, which would never end.
            try FileManager.default.createSymbolicLink(at: folder.appendingPathComponent(file), withDestinationURL: other)
            #expect(trainingError { _ = try TrainingCheckpoint(folder) } != nil)
            try FileManager.default.removeItem(at: folder.appendingPathComponent(file))
            #expect(mkfifo(folder.appendingPathComponent(file).path, 0o600) == 0)
            #expect(trainingError { _ = try TrainingCheckpoint(folder) } != nil)
        }
    }

    @Test(arguments: ["adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors", "state.json"])
    func damageIsNamed(file: String) throws {
        let damages: [(String, (inout Data) -> Void)] = [
            ("first byte", { $0[0] ^= 1 }), ("middle", { $0[$0.count / 2] ^= 1 }),
            ("last byte", { $0[$0.count - 1] ^= 0x10 }),
            ("cut", { $0.removeLast() }), ("half", { $0 = $0.prefix($0.count / 2) }), ("empty", { $0 = Data() }),
            ("longer", { $0.append(7) }),
        ]
        try withFolder { root in
            let folder = root.appendingPathComponent("c")
            _ = try write(to: folder)
            let place = folder.appendingPathComponent(file)
            let whole = try Data(contentsOf: place)
            func expectRefusal(_ what: String) {
                let error = trainingError { _ = try TrainingCheckpoint(folder) }
                guard case .damagedCheckpoint(let path, let reason, _) = error else {
                    Issue.record("\(file), \(what): \(String(describing: error))")
                    return
                }
                #expect(path == folder.path && reason.contains(file), "\(what): \(reason)")
            }
            for (what, damage) in damages {
                var bytes = whole
                damage(&bytes)
                try bytes.write(to: place)
                expectRefusal(what)
            }
            try FileManager.default.removeItem(at: place)
            expectRefusal("missing")
            try whole.write(to: place)
            #expect(trainingError { _ = try TrainingCheckpoint(folder) } == nil)
        }
    }

    /// Changes that leave state.json well-formed.
    @Test func everyNumberOfTheStateIsProtected() throws {
        try withFolder { root in
            let folder = root.appendingPathComponent("c")
            _ = try write(to: folder)
            let place = folder.appendingPathComponent("state.json")
            let text = try String(contentsOf: place, encoding: .utf8)
            for (old, new) in [
                ("\"step\" : 2", "\"step\" : 3"), ("\"nextBatch\" : 3", "\"nextBatch\" : 2"),
                ("\"data\" : \"d\"", "\"data\" : \"e\""),
                ("\"tokens\" : 84", "\"tokens\" : 85"), ("\"bestStep\" : 1,", ""), ("0.3333", "0.3332"),
            ] {
                let changed = text.replacingOccurrences(of: old, with: new)
                #expect(changed != text, "\(old) is not in \(text)")
                try Data(changed.utf8).write(to: place)
                let error = trainingError { _ = try TrainingCheckpoint(folder) }
                #expect("\(String(describing: error))".contains("state.json"), "\(new)")
            }
        }
    }

    /// A run that began anew would delete checkpoints of another version; it is refused.
    @Test func checkpointsOfAnotherVersionAreNotPassedOver() throws {
        try withFolder { root in
            let place = root.appendingPathComponent("run")
            let run = try RunFolder.create(place, recipe: Data(), resolved: Data("r".utf8), overwrite: false)
            let folder = place.appendingPathComponent("checkpoints/step-000002")
            _ = try write(to: folder)
            let state = folder.appendingPathComponent("state.json")
            let text = try String(contentsOf: state, encoding: .utf8)
            let other = text.replacingOccurrences(of: "\"format\" : 2", with: "\"format\" : 77")
            #expect(other != text)
            try Data(other.utf8).write(to: state)
            let error = trainingError { _ = try run.newestCheckpoint { _ in } }
            guard case .otherFormat(folder.path, 77) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            // Nor for an older checkpoint that can be read: a run that goes on deletes what is newer.
            _ = try write(to: place.appendingPathComponent("checkpoints/step-000001"))
            guard case .otherFormat(folder.path, 77) = trainingError({ _ = try run.newestCheckpoint { _ in } }) else {
                Issue.record("a newer checkpoint of another version is passed over")
                return
            }
            // Another layout may have other files.
            try FileManager.default.removeItem(at: folder.appendingPathComponent("optimizer.safetensors"))
            guard case .otherFormat = trainingError({ _ = try TrainingCheckpoint(folder) }) else {
                Issue.record("another layout is taken for damage")
                return
            }
            try FileManager.default.removeItem(at: folder)
            #expect(try run.newestCheckpoint { _ in }?.folder.lastPathComponent == "step-000001")
        }
    }

    @Test func momentsOfAnotherAdapterAreRefused() throws {
        try withFolder { root in
            let folder = root.appendingPathComponent("c")
            _ = try write(to: folder)
            let checkpoint = try TrainingCheckpoint(folder)
            let model = try tinyModel(on: compute)
            let other = try LoRAAdapter(
                attaching: AdapterConfiguration(rank: 5), to: model.linears, seed: 1, on: compute)
            let error = trainingError { _ = try checkpoint.moments(of: other.parameters, on: compute) }
            #expect("\(String(describing: error))".contains("shape"))
        }
    }
}
