import ArgumentParser
import Autograd
import Checkpoints
import Datasets
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Tokenization
import Training

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Trains adapters as a recipe says, or resumes a run.",
        discussion: """
            martlet train recipes/quickstart.yaml
            martlet train recipes/quickstart.yaml training.epochs=1 output.directory=runs/short
            martlet train --resume runs/quickstart
            martlet train --resume runs/quickstart training.epochs=5 --allow-change training.epochs

            SIGINT (Ctrl-C) and SIGTERM finish the step, write a checkpoint and exit with 75; a second one stops at once. \
            SIGHUP (the terminal is closed) does the same, unless it is ignored (nohup). SIGUSR1 writes a checkpoint and goes on. \
            A reader of the output that goes away does not end the run.
            A resumed run ends with the same bits as one that was never interrupted. What has changed since its checkpoint is \
            named; what would change the result needs --allow-change.
            """)

    @Argument(help: "The recipe, a YAML file. Its keys: docs/recipe.md; examples: recipes/.")
    var recipe: String?

    @Argument(help: "Settings that go over the recipe's: key.path=value.")
    var overrides: [String] = []

    @Option(help: "Resume the run in this folder from its newest whole checkpoint.")
    var resume: String?

    @Option(help: ArgumentHelp(
        "Resume although this has changed: a key of the recipe, base, tokenizer, data, version or memory. May be given more than once.",
        valueName: "key"))
    var allowChange: [String] = []

    @Flag(help: "Replace the run that is in output.directory: its adapter and checkpoints are gone before the first step.")
    var overwrite = false

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var cache: CacheOptions
    @OptionGroup var memory: MemoryOptions

    @Flag(help: "Stop rather than resume on another kernel path, which changes the last bits.")
    var requireSameBits = false

    @Flag(help: "Print errors as JSON. The summary on standard output is always one JSON object.")
    var json = false

    /// With `--resume` everything that is no path of a recipe is an override.
    private var isOverride: Bool { resume != nil && recipe?.contains("=") == true }
    private var recipeFile: String? { isOverride ? nil : recipe }
    private var allOverrides: [String] { (isOverride ? [recipe ?? ""] : []) + overrides }

    func validate() throws {
        if recipe == nil && resume == nil { throw ValidationError("give either a recipe or --resume RUN") }
        if resume != nil && overwrite { throw ValidationError("--overwrite and --resume contradict each other") }
        if resume == nil && !allowChange.isEmpty { throw ValidationError("--allow-change belongs to --resume RUN") }
        let known = RunChange.otherKeys + Recipe.keys.map(\.path)
        if let key = allowChange.first(where: { !known.contains(Recipe.pattern(of: $0)) }) {
            throw ValidationError(
                "--allow-change \(key): expected a key of the recipe or one of \(RunChange.otherKeys.joined(separator: ", "))")
        }
    }

    func run() throws {
        StopSignals.install()
        if let resume { return try self.resume(URL(fileURLWithPath: resume, isDirectory: true)) }
        let path = recipe ?? ""
        let recipe = try Recipe.read(contentsOf: path, overrides: overrides)
        let place = URL(fileURLWithPath: recipe.output.directory, isDirectory: true)
        // Before anything is loaded: an existing run is the commonest reason to stop.
        try OutputPlace.checkRunFolder(of: recipe, overwrite: overwrite)
        let prepared = try PreparedRun(
            recipe, memoryLimit: memory.limit, cache: cache.packedModels, on: try compute.makeCompute(for: recipe),
            note: Terminal.note)
        try prepared.requireMemory()
        try prepared.requireDiskSpace(at: place)
        let folder = try RunFolder.create(
            place, recipe: FileManager.default.contents(atPath: path) ?? Data(),
            resolved: Data(prepared.recipe.resolvedYAML().utf8), overwrite: overwrite)
        try train(prepared, in: folder, from: nil)
    }

    private func resume(_ place: URL) throws {
        let folder = try RunFolder(opening: place)
        let recipe = try recipe(of: folder)
        let checkpoint = try folder.newestCheckpoint(note: Terminal.note)
        // A run that ended before its results were written takes no further step, but writes them.
        let isAsked = recipeFile != nil || !allOverrides.isEmpty
        if let state = checkpoint?.state, state.isFinished, !isAsked, hasResults(folder, recipe) {
            Terminal.note("the run \(place.path) is finished; there is nothing to resume")
            return RunSummary(state, run: folder, results: recipe.output.save).print()
        }
        let prepared = try PreparedRun(
            recipe, resuming: checkpoint, allowing: Set(allowChange), memoryLimit: memory.limit, cache: cache.packedModels,
            on: try compute.makeCompute(for: recipe), note: Terminal.note)
        try prepared.requireMemory()
        try prepared.requireDiskSpace(at: place, after: checkpoint?.state.step ?? 0, existing: folder.checkpointCount)
        Terminal.note("resuming \(place.path) " + (checkpoint.map { "after step \($0.state.step)" } ?? "from the start: it has no checkpoint"))
        try checkArithmetic(prepared, checkpoint)
        let resolved = Data(prepared.recipe.resolvedYAML().utf8)
        if resolved != FileManager.default.contents(atPath: folder.resolvedRecipe.path) {
            try folder.replaceResolvedRecipe(resolved)
        }
        try train(prepared, in: folder, from: checkpoint)
    }

    private func hasResults(_ folder: RunFolder, _ recipe: Recipe) -> Bool {
        recipe.output.save.allSatisfy { FileManager.default.fileExists(atPath: $0.place(in: folder).path) }
    }

    /// The recipe of a run that goes on: its own, or the one that is given, in the folder where the run lies.
    private func recipe(of folder: RunFolder) throws -> Recipe {
        let own = folder.resolvedRecipe.path
        let place = try Recipe.read(contentsOf: own).output.directory
        return try Recipe.read(contentsOf: recipeFile ?? own, overrides: allOverrides).staying(in: place, of: folder.url.relativePath)
    }

    private func train(_ prepared: PreparedRun, in folder: RunFolder, from checkpoint: TrainingCheckpoint?) throws {
        let run = try prepared.makeRun(in: folder, resuming: checkpoint)
        let plan = prepared.memory.plan
        let progress = TrainingProgress(prepared, in: folder.url.relativePath, from: run.state)
        try progress.announce()
        let outcome = try run.run(
            shouldStop: { StopSignals.received }, wantsCheckpoint: StopSignals.takeCheckpointRequest, report: progress.report)
        var results: [Recipe.Output.Form] = []
        if outcome == .finished {
            results = try prepared.writeResults(to: folder, after: run.state.step, note: progress.note)
            let best = run.state.bestStep.map { folder.bestCheckpoint(step: $0).relativePath }
            progress.finish(run.state, results, stoppedEarly: run.hasStoppedEarly, best: best)
        } else {
            progress.stop(run.state, checkpoint: folder.checkpoint(step: run.state.step).relativePath)
        }
        RunSummary(
            run.state, run: folder, results: results, sources: prepared.data.trainSources, speed: progress.tokensPerSecond,
            plannedMemory: plan.total, stoppedEarly: run.hasStoppedEarly
        ).print()
        // Nothing went wrong, so there is no error to print.
        if outcome == .stopped { throw ExitCode(ExitStatus.stopped.rawValue) }
    }

    private func checkArithmetic(_ prepared: PreparedRun, _ checkpoint: TrainingCheckpoint?) throws {
        guard let earlier = checkpoint?.state.identity, !prepared.identity.hasSameArithmetic(as: earlier) else { return }
        let (now, then) = (prepared.identity, earlier)
        let sentence = "the run was computed with \(then.precision), \(then.instructionSet), OpenBLAS \(then.openBLASCore); now it is \(now.precision), \(now.instructionSet), OpenBLAS \(now.openBLASCore)"
        if requireSameBits { throw CommandError(.unavailable, sentence + "; resume on the same kind of CPU, or without --require-same-bits") }
        Terminal.note(sentence + ": the result will differ in its last bits from an uninterrupted run's")
    }
}
