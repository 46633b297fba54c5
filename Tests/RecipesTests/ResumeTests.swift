import Foundation
import Layers
import Recipes
import TensorCore
import Testing
import Training

/// What has changed since a checkpoint is named; what may go on does, also from another folder.
@Suite struct ResumeTests {
    private let compute: Compute

    init() throws { compute = try Compute(threadCount: 1) }

    private func data(_ root: URL, _ name: String = "d.jsonl", shift: Int = 0) throws -> URL {
        let lines = (0..<20).map { line in
            #"{"input_ids": [\#((0..<12).map { "\((line * 7 + $0 * 3 + shift) % 288)" }.joined(separator: ", "))]}"#
        }
        let place = root.appendingPathComponent(name)
        try Data(lines.joined(separator: "\n").utf8).write(to: place)
        return place
    }

    /// A run that was stopped after its first step of four, and its recipe.
    private func withStoppedRun<Result>(
        model: URL = tinyModels.appendingPathComponent("llama"), _ body: (RunFolder, Recipe, URL) throws -> Result
    ) throws -> Result {
        try withPlaceOfStoppedRun(model: model) { place, root in
            let folder = try RunFolder(opening: place)
            return try body(folder, try Recipe.read(contentsOf: folder.resolvedRecipe.path), root)
        }
    }

    /// The same, not opened.
    private func withPlaceOfStoppedRun<Result>(
        model: URL = tinyModels.appendingPathComponent("llama"), _ body: (URL, URL) throws -> Result
    ) throws -> Result {
        try withFolder { root in
            let text = """
                model: {path: \(model.path)}
                data:
                  max_length: 64
                  train: [{path: \(try data(root).path), format: tokens}]
                training: {steps: 4, micro_batch_tokens: 48, gradient_accumulation_steps: 2}
                output: {directory: \(root.appendingPathComponent("run").path)}

                """
            let prepared = try PreparedRun(try Recipe(yaml: text, file: "r.yaml"), on: compute)
            let resolved = Data(prepared.recipe.resolvedYAML().utf8)
            let place = root.appendingPathComponent("run")
            do {
                let folder = try RunFolder.create(
                    place, recipe: Data(text.utf8), resolved: resolved, overwrite: false)
                _ = try prepared.makeRun(in: folder).run(shouldStop: { true }, report: { _ in })
            }
            return try body(place, root)
        }
    }

    private func resume(
        _ folder: RunFolder, _ recipe: Recipe, allowing: Set<String> = [], memoryLimit: Int? = nil,
        note: (String) -> Void = { _ in }
    ) throws -> (prepared: PreparedRun, run: TrainingRun) {
        let checkpoint = try #require(try folder.newestCheckpoint { Issue.record("\($0)") })
        let prepared = try PreparedRun(
            recipe, resuming: checkpoint, allowing: allowing, memoryLimit: memoryLimit, on: compute, note: note)
        return (prepared, try prepared.makeRun(in: folder, resuming: checkpoint))
    }

    private func refusal(_ body: () throws -> Void) -> TrainingError? {
        do {
            try body()
            return nil
        } catch {
            return error as? TrainingError
        }
    }

    @Test func everyChangeIsNamedWithTheOptionThatPermitsIt() throws {
        try withStoppedRun { folder, recipe, root in
            var other = recipe
            other.training.learningRate = 5e-4
            other.training.steps = 6
            other.data.train[0].path = try data(root, "e.jsonl", shift: 1).path
            other.data.train[0].weight = 2
            let error = refusal { _ = try resume(folder, other) }
            guard case .changed(let changes, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(
                changes.map(\.key) == ["data", "data.train.0.weight", "training.learning_rate", "training.steps"])
            let sentence = "\(String(describing: error))"
            #expect(sentence.contains("training.learning_rate (0.0002 → 0.0005)") && sentence.contains("training.steps (4 → 6)"))
            #expect(
                sentence.contains(
                    "--allow-change data --allow-change data.train.0.weight --allow-change training.learning_rate --allow-change training.steps"))
            // All but one are not enough; with all it goes on and says what has changed.
            let keys = Set(changes.map(\.key))
            for key in keys {
                guard case .changed(let left, _) = refusal({ _ = try resume(folder, other, allowing: keys.subtracting([key])) })
                else {
                    Issue.record("went on without \(key)")
                    continue
                }
                #expect(left.map(\.key) == [key])
            }
            var notes: [String] = []
            let (prepared, run) = try resume(folder, other, allowing: keys) { notes.append($0) }
            #expect(try run.run(shouldStop: { false }, report: { _ in }) == .finished)
            #expect(run.state.step == 6 && notes.filter { $0.contains("--allow-change permits") }.count == 4)
            #expect(run.state.identity == prepared.identity && run.state.identity.settings["training.steps"] == "6")
        }
    }

    @Test func whatDecidesNoResultGoesOnWithANote() throws {
        try withStoppedRun { folder, recipe, root in
            let moved = root.appendingPathComponent("elsewhere")
            try FileManager.default.createDirectory(at: moved, withIntermediateDirectories: true)
            var other = recipe
            other.data.train[0].path = try data(moved).path
            other.training.threads = .count(3)
            other.training.logEverySteps = 2
            other.checkpoint.keep = 1
            other.training.recompute = .blocks
            other.output.directory = "somewhere/else"
            var notes: [String] = []
            let (prepared, run) = try resume(folder, other) { notes.append($0) }
            #expect(notes.count == 5 && notes.allSatisfy { $0.contains("changes no result") }, "\(notes)")
            #expect(notes.contains { $0.contains("checkpoint.keep was 3, now it is 1") })
            #expect(notes.contains { $0.contains("data.train.0.path was another path, now it is") && $0.contains("elsewhere") })
            #expect(prepared.memory.recompute)
            #expect(try run.run(shouldStop: { false }, report: { _ in }) == .finished)
        }
    }

    @Test func whatTheCheckpointDoesNotFitIsRefusedAllTheSame() throws {
        try withStoppedRun { folder, recipe, _ in
            let changes: [(String, (inout Recipe) -> Void)] = [
                ("adapter.rank", { $0.adapter.rank = 8 }), ("adapter.target_modules", { $0.adapter.targetModules = .group(.mlp) }),
                ("adapter.exclude_modules", { $0.adapter.excludeModules = ["down_proj"] }),
                ("adapter.path", { $0.adapter.path = "some/adapter" }),
            ]
            for (key, change) in changes {
                var other = recipe
                change(&other)
                let error = refusal { _ = try resume(folder, other, allowing: [key, "adapter.alpha"]) }
                guard case .cannotResume(let refused, _) = error else {
                    Issue.record("\(key): \(String(describing: error))")
                    continue
                }
                #expect(refused.contains { $0.key == key } && "\(String(describing: error))".contains(key))
            }
        }
    }

    @Test func anotherNetworkIsRefusedByName() throws {
        try withStoppedRun { folder, recipe, _ in
            var other = recipe
            other.model.path = tinyModels.appendingPathComponent("qwen3").path
            let error = refusal { _ = try resume(folder, other, allowing: ["base", "tokenizer", "data"]) }
            guard case .cannotResume(let refused, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(refused.map(\.key) == ["network"])
        }
    }

    /// A key that came with a later version is no change as long as it has its default.
    @Test func keysOfLaterVersionsStoodAtTheirDefaults() throws {
        var recipe = try Recipe(
            yaml: "{model: {path: m}, data: {train: [{path: t.jsonl}, {path: u.jsonl}]}, output: {directory: run}}",
            file: "r.yaml")
        func changes(without key: String) -> [RunChange] {
            func identity(_ settings: [String: String]) -> RunIdentity {
                RunIdentity(
                    base: "", tokenizer: "", data: "", validation: "", network: "", settings: settings, version: "1",
                    precision: "", instructionSet: "", openBLASCore: "")
            }
            let settings = recipe.identitySettings
            #expect(settings[key] != nil)
            let earlier = settings.filter { $0.key != key }
            return ResumeCheck(recipe, identity(settings), since: identity(earlier)).changes
        }
        #expect(changes(without: "adapter.use_rslora").isEmpty && changes(without: "data.max_length").isEmpty)
        #expect(changes(without: "data.train.1.weight").map(\.key) == ["data.train.1.weight"])
        recipe.adapter.usesRSLoRA = true
        recipe.data.maxLength = 7
        let change = try #require(changes(without: "adapter.use_rslora").first)
        #expect(change.key == "adapter.use_rslora" && change.earlier == "false" && change.now == "true")
        #expect(changes(without: "data.max_length").map(\.now) == ["7"])
    }

    /// Steps that are to be passed over after a rollback are forgotten only where the training data are others.
    @Test func otherValidationDataLeaveThePlansForTrainingAlone() throws {
        let yaml = "{model: {path: m}, data: {train: [{path: t.jsonl}], validation: [{path: v.jsonl}]}, output: {directory: run}}"
        let recipe = try Recipe(yaml: yaml, file: "r.yaml")
        func moves(data: String = "d", validation: String = "v", settings: [String: String] = [:]) -> Bool {
            func identity(_ data: String, _ validation: String, _ settings: [String: String]) -> RunIdentity {
                RunIdentity(
                    base: "", tokenizer: "", data: data, validation: validation, network: "", settings: settings, version: "1",
                    precision: "", instructionSet: "", openBLASCore: "")
            }
            let (usual, other) = (recipe.identitySettings, recipe.identitySettings.merging(settings) { $1 })
            let check = ResumeCheck(recipe, identity(data, validation, other), since: identity("d", "v", usual))
            #expect(check.changes.count == 1)
            return check.movesData
        }
        #expect(!moves(validation: "w") && !moves(settings: ["data.validation.0.weight": "2"]))
        #expect(moves(data: "e") && moves(settings: ["data.train.0.weight": "2"]) && moves(settings: ["data.max_length": "7"]))
    }

    @Test func anotherBaseOfTheSameShapeNeedsPermission() throws {
        try withModelCopy { copy in
            try withStoppedRun(model: copy) { folder, recipe, _ in
                let weights = copy.appendingPathComponent("model.safetensors")
                var bytes = try Data(contentsOf: weights)
                bytes[bytes.count - 2] ^= 1
                try FileManager.default.removeItem(at: weights)
                try bytes.write(to: weights)
                guard case .changed(let changes, _) = refusal({ _ = try resume(folder, recipe) }) else {
                    Issue.record("another base went unnoticed")
                    return
                }
                #expect(changes.map(\.key) == ["base"])
                #expect(try resume(folder, recipe, allowing: ["base"]).run.state.step == 1)
            }
        }
    }

    @Test func aRunMayBeMovedAndResumed() throws {
        let ends = try [false, true].map { moves in
            try withPlaceOfStoppedRun { place, root in
                let parent = root.appendingPathComponent("moved")
                let target = moves ? parent.appendingPathComponent("run") : place
                if moves {
                    try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: false)
                    try FileManager.default.moveItem(at: place, to: target)
                }
                let folder = try RunFolder(opening: target)
                return try finish(folder, try Recipe.read(contentsOf: folder.resolvedRecipe.path))
            }
        }
        #expect(ends[0] == ends[1])
    }

    private func finish(_ folder: RunFolder, _ recipe: Recipe) throws -> Data {
        let (prepared, run) = try resume(folder, recipe)
        _ = try run.run(shouldStop: { false }, report: { _ in })
        try prepared.writeResults(to: folder, after: prepared.totalSteps)
        return try Data(contentsOf: folder.adapter.appendingPathComponent("adapter_model.safetensors"))
    }

    /// A checkpoint may be handed on: paths are in it as digests.
    @Test func checkpointsNameNoPaths() throws {
        try withStoppedRun { folder, recipe, root in
            let state = folder.url.appendingPathComponent("checkpoints/latest/state.json")
            let text = try String(contentsOf: state, encoding: .utf8)
            #expect(!text.contains(root.path) && !text.contains(tinyModels.path) && text.contains("training.seed"))
        }
    }
}
