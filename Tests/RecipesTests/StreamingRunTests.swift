import Datasets
import Foundation
import Models
import Recipes
import TensorCore
import Testing
import Training

/// Runs on data that stay on disk: cached once, resumed to the bit.
@Suite struct StreamingRunTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    private struct Bench {
        let root: URL
        var cache: PackedCache { PackedCache(root.appendingPathComponent("cache")) }

        func recipe(_ training: String, model: String? = nil, data: String = "") throws -> Recipe {
            let model = model ?? tinyModels.appendingPathComponent("llama").path
            let text = """
                model:
                  path: \(model)
                data:
                  streaming: always
                  max_length: 64
                  train:
                    - path: \(root.appendingPathComponent("a.jsonl").path)
                    - path: \(root.appendingPathComponent("b.jsonl").path)
                      weight: 0.5
                \(data.isEmpty ? "" : data.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n") + "\n")\
                training:
                \(training.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n"))
                  micro_batch_tokens: 96
                  gradient_accumulation_steps: 2
                output:
                  directory: \(root.appendingPathComponent("run").path)

                """
            return try Recipe(yaml: text, file: "r.yaml")
        }
    }

    private func withBench<Result>(_ body: (Bench) throws -> Result) throws -> Result {
        try withFolder { root in
            for (name, count) in [("a", 70), ("b", 40)] {
                let lines = (0..<count).map { line in
                    let length = 8 + line * 7 % 23
                    let ids = (0..<length).map { (line * 31 + $0 * 3 + count) % 288 }
                    return #"{"input_ids": \#(ids)}"#
                }
                try Data(lines.joined(separator: "\n").utf8).write(to: root.appendingPathComponent("\(name).jsonl"))
            }
            return try body(Bench(root: root))
        }
    }

    /// Trains to the end, stopping after every few steps, and returns the adapter's bytes.
    private func train(_ bench: Bench, _ recipe: Recipe, stopEvery: Int? = nil) throws -> Data {
        let place = bench.root.appendingPathComponent("run-\(UUID())")
        let resolved = try PreparedRun(recipe, cache: bench.cache, on: compute).recipe
        #expect(resolved.data.streaming == .always)
        _ = try RunFolder.create(
            place, recipe: Data(), resolved: Data(resolved.resolvedYAML().utf8), overwrite: false)
        while true {
            let folder = try RunFolder(opening: place)
            let checkpoint = try folder.newestCheckpoint { Issue.record("\($0)") }
            let prepared = try PreparedRun(
                try Recipe.read(contentsOf: folder.resolvedRecipe.path), resuming: checkpoint, cache: bench.cache,
                on: compute)
            var left = stopEvery ?? .max
            let outcome = try prepared.makeRun(in: folder, resuming: checkpoint).run(
                shouldStop: {
                    left -= 1
                    return left == 0
                }, report: { _ in })
            if outcome == .finished { break }
        }
        return try Data(contentsOf: place.appendingPathComponent("checkpoints/latest/adapter_model.safetensors"))
    }

    @Test(arguments: ["epochs: 2", "steps: 6"]) func interruptedItEndsWithTheSameBits(training: String) throws {
        try withBench { bench in
            let recipe = try bench.recipe(training)
            let whole = try train(bench, recipe)
            #expect(try train(bench, recipe, stopEvery: training == "steps: 6" ? 1 : 3) == whole)
            let kinds = DataCache(bench.cache).entries().map(\.kind)
            #expect(kinds == (training == "steps: 6" ? [.indexes, .indexes] : [.tokens, .tokens]))
        }
    }

    /// Whether records are encoded as they are visited or come from the cache changes nothing.
    @Test func theCacheChangesNoBit() throws {
        try withBench { bench in
            let recipe = try bench.recipe("steps: 6")
            let encoded = try train(bench, recipe)
            _ = try PreparedRun(bench.recipe("epochs: 1"), cache: bench.cache, on: compute)
            #expect(Set(DataCache(bench.cache).entries().map(\.kind)) == [.tokens, .indexes])
            // The index is gone: the tokens alone give the batches.
            let data = DataCache(bench.cache)
            try data.remove(data.entries().filter { $0.kind == .indexes })
            #expect(try train(bench, recipe) == encoded)
            #expect(data.entries().map(\.kind) == [.tokens, .tokens])
            try data.remove(data.entries())
            #expect(data.entries().isEmpty)
        }
    }

    @Test func whatDecidesTheTokensIsPartOfTheirName() throws {
        try withBench { bench in
            func digests(_ recipe: Recipe) throws -> (cached: Int, fingerprint: String) {
                let prepared = try PreparedRun(recipe, cache: bench.cache, on: compute)
                return (DataCache(bench.cache).entries().count, prepared.identity.data)
            }
            let first = try digests(try bench.recipe("epochs: 1"))
            #expect(first.cached == 2)
            let longer = try digests(try bench.recipe("epochs: 3"))
            #expect(longer == first)
            let other = try digests(try bench.recipe("epochs: 1", data: "truncation: drop"))
            #expect(other.cached == 4)
            // The same model with another template.
            try withModelCopy { copy in
                let same = try digests(try bench.recipe("epochs: 1", model: copy.path))
                let template = copy.appendingPathComponent("chat_template.jinja")
                let text = try String(contentsOf: template, encoding: .utf8)
                try Data((text + "\n{# another #}").utf8).write(to: template)
                let other = try digests(try bench.recipe("epochs: 1", model: copy.path))
                #expect(other.cached == same.cached + 2 && other.fingerprint != same.fingerprint)
            }
            // Another token in the data.
            let before = DataCache(bench.cache).entries().count
            let file = bench.root.appendingPathComponent("b.jsonl")
            let text = try String(contentsOf: file, encoding: .utf8)
            try Data((text + "\n{\"input_ids\": [1, 2, 3]}").utf8).write(to: file)
            let changed = try digests(try bench.recipe("epochs: 1"))
            #expect(changed.cached == before + 1 && changed.fingerprint != first.fingerprint)
        }
    }

    @Test func brokenRecordsAreListed() throws {
        for training in ["epochs: 1", "steps: 6"] {
            try withBench { bench in
                let file = bench.root.appendingPathComponent("a.jsonl")
                let text = try String(contentsOf: file, encoding: .utf8)
                try Data(("{\"input_ids\": [9999]}\n" + text).utf8).write(to: file)
                #expect(message { _ = try train(bench, bench.recipe(training)) }.contains("a.jsonl:1"))
                let recipe = try bench.recipe(training, data: "on_error: skip")
                let prepared = try PreparedRun(recipe, cache: bench.cache, on: compute)
                #expect(prepared.data.summaries.map(\.skipped) == [1, 0])
                let folder = try RunFolder.create(
                    bench.root.appendingPathComponent("run"), recipe: Data(), resolved: Data("r".utf8), overwrite: false)
                for _ in 0..<2 {
                    _ = try prepared.makeRun(in: folder).run(shouldStop: { false }, report: { _ in })
                    let listed = try String(
                        contentsOf: folder.url.appendingPathComponent("skipped.jsonl"), encoding: .utf8)
                    #expect(listed.split(separator: "\n").count == (training == "epochs: 1" ? 1 : listed.isEmpty ? 0 : 1))
                }
            }
        }
    }

    @Test func duplicatesAndOverlapAreFound() throws {
        try withBench { bench in
            let a = bench.root.appendingPathComponent("a.jsonl")
            let first = try String(contentsOf: a, encoding: .utf8).split(separator: "\n")[0]
            let b = bench.root.appendingPathComponent("b.jsonl")
            try Data((try String(contentsOf: b, encoding: .utf8) + "\n" + first).utf8).write(to: b)
            try Data((first + "\n{\"input_ids\": [5, 6]}").utf8).write(to: bench.root.appendingPathComponent("v.jsonl"))
            let validation = "validation:\n  - path: \(bench.root.appendingPathComponent("v.jsonl").path)"
            for (training, more) in [("epochs: 1", ""), ("steps: 2", "\ndeduplicate: true")] {
                let recipe = try bench.recipe(training, data: validation + more)
                let prepared = try PreparedRun(recipe, cache: bench.cache, on: compute)
                #expect(prepared.data.overlaps.map(\.examples) == [1])
                #expect(prepared.data.summaries.map(\.duplicates) == (more.isEmpty ? [0, 0, 0] : [0, 1, 0]))
                #expect(prepared.data.trainSources.count == 2)
            }
        }
    }

    /// The same counts of steps as the run then takes.
    @Test func epochsAreCountedBeforehand() throws {
        try withBench { bench in
            let prepared = try PreparedRun(bench.recipe("epochs: 3"), cache: bench.cache, on: compute)
            let folder = try RunFolder.create(
                bench.root.appendingPathComponent("run"), recipe: Data(), resolved: Data("r".utf8), overwrite: false)
            let run = try prepared.makeRun(in: folder)
            #expect(try run.run(shouldStop: { false }, report: { _ in }) == .finished)
            #expect(run.state.step == prepared.totalSteps && run.state.cursor == DataCursor(epoch: 3))
            #expect(run.state.sourceTokens?.reduce(0, +) == run.state.tokens)
        }
    }
}
