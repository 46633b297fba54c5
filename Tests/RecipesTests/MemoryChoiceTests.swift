import Autograd
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Testing
import Training

/// How a run keeps within a limit of memory: first by computing again, then by pieces; the choice stays.
@Suite struct MemoryChoiceTests {
    private let compute: Compute

    init() throws { compute = try Compute(threadCount: 1) }

    /// Recipe of a run with micro-batches of 600 tokens in examples of 24.
    private func withRecipe<Result>(_ more: String = "", _ body: (Recipe, URL) throws -> Result) throws -> Result {
        try withFolder { root in
            let lines = (0..<80).map { line in
                #"{"input_ids": [\#((0..<24).map { "\((line * 7 + $0 * 3) % 288)" }.joined(separator: ", "))]}"#
            }
            let data = root.appendingPathComponent("d.jsonl")
            try Data(lines.joined(separator: "\n").utf8).write(to: data)
            let text = """
                model: {path: \(tinyModels.appendingPathComponent("llama").path)}
                adapter: {rank: 4}
                data:
                  max_length: 64
                  train: [{path: \(data.path), format: tokens}]
                training: {steps: 3, micro_batch_tokens: 600, gradient_accumulation_steps: 1, learning_rate: 1e-3\(more)}
                output: {directory: \(root.appendingPathComponent("run").path)}

                """
            return try body(try Recipe(yaml: text, file: "r.yaml"), root)
        }
    }

    @Test func firstBlocksThenPiecesThenNothing() throws {
        try withRecipe { recipe, _ in
            let run = try PreparedRun(recipe, memoryLimit: nil, on: compute)
            #expect(!run.memory.recompute && run.memory.splitTokens == nil && run.memory.plan.tokens == 600)
            let planner = MemoryPlanner(run.recipe, run.model, run.data, run.adapter, compute)
            typealias Split = Recipe.Training.SplitTokens
            func choose(_ limit: Int, recompute: Bool? = nil, split: Split = .automatic) -> MemoryChoice {
                planner.choose(recompute: recompute, splitTokens: split, maySplit: true, limit: limit)
            }
            let kept = planner.plan(recompute: false, tokens: 600).required
            let again = planner.plan(recompute: true, tokens: 600).required
            let least = planner.plan(recompute: true, tokens: 24).required
            #expect(kept > again && again > least)
            let whole = choose(kept)
            #expect(!whole.recompute && whole.splitTokens == nil)
            let blocks = choose(kept - 1)
            #expect(blocks.recompute && blocks.splitTokens == nil && blocks.fits)
            let halves = choose(again - 1)
            #expect(halves.recompute && halves.splitTokens == 300 && halves.fits)
            // The fewest pieces that fit, down to single examples.
            for limit in stride(from: again - 1, through: least, by: -max(1, (again - least) / 13)) {
                let choice = choose(limit)
                let tokens = try #require(choice.splitTokens)
                #expect(choice.fits && choice.recompute && tokens >= 24)
                let pieces = (600 + tokens - 1) / tokens
                let fewer = (600 + pieces - 2) / max(1, pieces - 1)
                if pieces > 2 { #expect(planner.plan(recompute: true, tokens: fewer).required > limit) }
            }
            #expect(choose(least).splitTokens == 24 && !choose(least - 1).fits)
            // What the recipe fixes stays.
            #expect(!choose(again, recompute: false).recompute)
            #expect(choose(again - 1, split: .none).splitTokens == nil && !choose(again - 1, split: .none).fits)
            let fixed = choose(least, split: .count(100))
            #expect(fixed.splitTokens == 100)
        }
    }

    /// Trains and returns parameters' file and the validation of the choice.
    private func train(_ recipe: Recipe, in root: URL, _ name: String) throws -> (adapter: [Float], run: PreparedRun) {
        let run = try PreparedRun(recipe, memoryLimit: nil, on: compute)
        let folder = try RunFolder.create(
            root.appendingPathComponent(name), recipe: Data(), resolved: Data(run.recipe.resolvedYAML().utf8),
            overwrite: false)
        #expect(try run.makeRun(in: folder).run(shouldStop: { false }, report: { _ in }) == .finished)
        return (run.adapter.parameters.flatMap { $0.value.toArray() }, run)
    }

    @Test func choicesGiveTheSameAdapter() throws {
        try withRecipe { recipe, root in
            let whole = try train(recipe, in: root, "whole").adapter
            var other = recipe
            other.training.recompute = .blocks
            #expect(try train(other, in: root, "blocks").adapter == whole)
            other.training.splitTokens = .count(100)
            let (pieces, run) = try train(other, in: root, "pieces")
            #expect(run.memory.splitTokens == 100 && run.memory.plan.tokens == 100)
            let difference = zip(pieces, whole).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
            let size = whole.reduce(0.0) { $0 + Double($1 * $1) }
            #expect((difference / size).squareRoot() < 1e-5 && pieces != whole)
        }
    }

    /// A choice is kept on resume; where it no longer fits, that is said, and changed only if asked for.
    @Test func theChoiceIsKept() throws {
        try withRecipe(", recompute: none") { recipe, root in
            var chosen = recipe
            chosen.training.splitTokens = .count(300)
            let place = root.appendingPathComponent("run")
            let run = try PreparedRun(chosen, memoryLimit: nil, on: compute)
            do {
                let folder = try RunFolder.create(
                    place, recipe: Data(), resolved: Data(run.recipe.resolvedYAML().utf8), overwrite: false)
                _ = try run.makeRun(in: folder).run(shouldStop: { true }, report: { _ in })
            }
            let folder = try RunFolder(opening: place)
            let checkpoint = try #require(try folder.newestCheckpoint { Issue.record("\($0)") })
            func resume(_ recipe: Recipe, _ limit: Int?, _ allowed: Set<String> = []) throws -> MemoryChoice {
                try PreparedRun(recipe, resuming: checkpoint, allowing: allowed, memoryLimit: limit, on: compute).memory
            }
            // Also for a recipe that leaves the choice open.
            var open = chosen
            (open.training.recompute, open.training.splitTokens) = (.automatic, .automatic)
            for recipe in [chosen, open] {
                let choice = try resume(recipe, nil)
                #expect(!choice.recompute && choice.splitTokens == 300)
            }
            // Memory for less than the choice takes, but enough for another.
            let planner = MemoryPlanner(run.recipe, run.model, run.data, run.adapter, compute)
            let limit = planner.plan(recompute: false, tokens: 300).required - 1
            var notes: [String] = []
            func choose(_ allowed: Set<String>, _ recipe: inout Recipe) throws -> MemoryChoice {
                try recipe.chooseMemory(planner, limit: limit, resuming: checkpoint, allowed: allowed) {
                    notes.append($0)
                }
            }
            var again = chosen
            let refusal = message { _ = try choose([], &again) }
            #expect(refusal.contains("--allow-change memory"), "\(refusal)")
            #expect(refusal.contains("pieces of at most 300"), "\(refusal)")
            let other = try choose(["memory"], &again)
            #expect(other.fits && other.recompute && again.training.recompute == .blocks)
            #expect(notes.count == 1 && notes[0].contains("blocks computed again"))
        }
    }

    @Test func whatCannotFitIsRefusedWithTheFigures() throws {
        try withRecipe { recipe, _ in
            let run = try PreparedRun(recipe, memoryLimit: 1 << 20, on: compute)
            #expect(!run.memory.fits && run.memory.recompute && run.memory.splitTokens == 24)
            let text = message { try run.requireMemory() }
            #expect(text.contains("may use 1.0 MB") && text.contains("activations") && text.contains("--memory"))
            #expect(message { try PreparedRun(recipe, memoryLimit: nil, on: compute).requireMemory() }.isEmpty)
        }
    }
}
