import Autograd
import Datasets
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
                planner.choose(recompute: recompute, splitTokens: split, limit: limit)
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

    /// The merge at the end is a part of the plan; where only that does not fit, the refusal says what does.
    @Test func theMergeIsPlanned() throws {
        try withRecipe { recipe, _ in
            var recipe = recipe
            let alone = try PreparedRun(recipe, memoryLimit: nil, on: compute).memory.plan
            #expect(alone.bytes[.merging] == 0 && alone.required == alone.requiredByTraining)
            recipe.output.save = [.adapter, .merged]
            let plan = try PreparedRun(recipe, memoryLimit: nil, on: compute).memory.plan
            #expect(plan.bytes[.merging] ?? 0 > 16 << 20 && plan.required > plan.requiredByTraining)
            // No other way to train saves as much.
            let limit = plan.requiredByTraining + (plan.bytes[.merging] ?? 0) / 3
            let tight = try PreparedRun(recipe, memoryLimit: limit, on: compute)
            #expect(!tight.memory.fits && tight.memory.trainingFits)
            let error = #expect(throws: MemoryProblem.self) { try tight.requireMemory() }
            #expect(error?.description.contains("with output.save=[adapter] it needs") == true)
            recipe.output.save = [.adapter]
            try PreparedRun(recipe, memoryLimit: limit, on: compute).requireMemory()
        }
    }

    /// What attention over a long sequence gave is kept where blocks are computed again, if that fits.
    @Test func longAttentionIsKeptIfThereIsRoom() throws {
        try withRecipe { recipe, root in
            for length in [2047, 2048] {
                var recipe = recipe
                let place = root.appendingPathComponent("long.jsonl")
                let ids = (0..<length).map { "\($0 * 3 % 288)" }.joined(separator: ", ")
                try Data(#"{"input_ids": [\#(ids)]}"#.utf8).write(to: place)
                recipe.data.train = [Recipe.Source(path: place.path, format: .tokens)]
                recipe.data.maxLength = length
                let run = try PreparedRun(recipe, memoryLimit: nil, on: compute)
                let planner = MemoryPlanner(run.recipe, run.model, run.data, run.adapter, compute)
                func choose(_ limit: Int) -> MemoryChoice {
                    planner.choose(recompute: true, splitTokens: .automatic, limit: limit)
                }
                let most = planner.plan(recompute: true, keepsLongAttention: true, tokens: length).required
                let least = planner.plan(recompute: true, tokens: length).required
                let isLong = length == 2048
                #expect((most > least) == isLong)
                let (kept, again) = (choose(most), choose(least))
                #expect(kept.fits && kept.keepsLongAttention == isLong && kept.plan.required == most)
                #expect(kept.description.contains("but for attention") == isLong)
                #expect(again.fits && again.recompute && !again.keepsLongAttention && again.splitTokens == nil)
                #expect(again.plan.required == least)
            }
        }
    }

    /// A validation file with one example of so many tokens and ten of 24.
    private func validate(_ recipe: inout Recipe, in root: URL, longest: Int) throws {
        let lengths = [longest] + [Int](repeating: 24, count: 10)
        let lines = lengths.map { length in
            #"{"input_ids": [\#((0..<length).map { "\($0 * 3 % 288)" }.joined(separator: ", "))]}"#
        }
        let place = root.appendingPathComponent("v-\(longest).jsonl")
        try Data(lines.joined(separator: "\n").utf8).write(to: place)
        recipe.data.validation = [Recipe.Source(path: place.path, format: .tokens)]
        recipe.data.maxLength = max(64, longest)
    }

    /// An evaluation takes no more than training unless one of its examples is longer than what is trained at once; then it
    /// is planned too.
    @Test func evaluationsArePlanned() throws {
        try withRecipe { recipe, root in
            for longest in [24, 64, 2000] {
                var recipe = recipe
                try validate(&recipe, in: root, longest: longest)
                let run = try PreparedRun(recipe, memoryLimit: nil, on: compute)
                let planner = MemoryPlanner(run.recipe, run.model, run.data, run.adapter, compute)
                for tokens in [24, 64, 600] {
                    #expect(planner.evaluationTokens(beside: tokens) >= tokens)
                    let (kept, again) = (planner.plan(recompute: false, tokens: tokens), planner.plan(recompute: true, tokens: tokens))
                    let beyond = try #require(again.bytes[.evaluation])
                    #expect((beyond > 0) == (longest > planner.evaluationTokens(beside: tokens)), "\(longest) beside \(tokens)")
                    #expect(beyond >= kept.bytes[.evaluation] ?? 0)
                }
                // Neither the limit nor recomputation decides how evaluations are cut.
                let limits = [planner.plan(recompute: false, tokens: 600).required, planner.plan(recompute: true, tokens: 600).required]
                let choices = limits.map { planner.choose(recompute: nil, splitTokens: .automatic, limit: $0) }
                #expect(choices.allSatisfy { $0.splitTokens == nil && $0.fits })
                #expect(Set(choices.map(\.evaluationTokens)) == [run.memory.evaluationTokens])
            }
        }
    }

    /// However small the pieces are, the longest validation example must fit.
    @Test func aLongValidationExampleIsRefused() throws {
        try withRecipe { recipe, root in
            var (short, long) = (recipe, recipe)
            try validate(&short, in: root, longest: 24)
            try validate(&long, in: root, longest: 2000)
            func planner(_ recipe: Recipe) throws -> MemoryPlanner {
                let run = try PreparedRun(recipe, memoryLimit: nil, on: compute)
                return MemoryPlanner(run.recipe, run.model, run.data, run.adapter, compute)
            }
            // One planner for all questions about a recipe: the program itself takes more or less while other tests run.
            let (few, many) = (try planner(short), try planner(long))
            let least = many.plan(recompute: true, tokens: 24)
            let difference = own(least) - own(few.plan(recompute: true, tokens: 24))
            #expect(least.bytes[.evaluation] ?? 0 > 1 << 20 && difference > 1 << 20)
            func fits(_ limit: Int) -> Bool { many.choose(recompute: nil, splitTokens: .automatic, limit: limit).fits }
            #expect(fits(least.required) && !fits(least.required - 1))
        }
    }

    /// What a plan counts besides the program.
    private func own(_ plan: MemoryPlan) -> Int { plan.total - (plan.bytes[.program] ?? 0) }

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
