import Autograd
import Checkpoints
import Datasets
import Foundation
public import Layers
public import Models
public import TensorCore
public import Training

/// A run put together from a recipe, everything checked, nothing written yet.
///
/// The order of the checks is the order of the work: recipe, model, data, adapter. What is wrong is found before
/// the first step, and before the run folder exists.
public final class PreparedRun {
    /// The recipe, with `auto` values decided.
    public let recipe: Recipe
    /// The base model.
    public let base: BaseModel
    /// Its network, with the adapter attached.
    public let model: any CausalLanguageModel
    /// What is trained.
    public let adapter: LoRAAdapter
    /// The data as tokens.
    public let data: EncodedData
    /// Optimiser steps of the whole run.
    public let totalSteps: Int
    /// Digests of inputs, and the arithmetic.
    public let identity: RunIdentity
    /// How the run keeps within its memory.
    public let memory: MemoryChoice
    /// What has changed since the checkpoint.
    private let resumeCheck: ResumeCheck?
    let compute: Compute

    /// Opens and checks everything that the recipe names.
    /// - Parameters:
    ///   - checkpoint: where the adapter's factors come from when resuming.
    ///   - allowed: keys whose change since the checkpoint is meant.
    ///   - memoryLimit: bytes that the run may use.
    ///   - cache: where packed base models are kept.
    ///   - note: receives sentences about what takes time or went wrong without harm.
    public init(
        _ recipe: Recipe, resuming checkpoint: TrainingCheckpoint? = nil, allowing allowed: Set<String> = [],
        memoryLimit: Int? = ProcessMemory.limit, cache: PackedCache = PackedCache(), on compute: Compute,
        note: (String) -> Void = { _ in }
    ) throws {
        var recipe = recipe
        recipe.training.precision = compute.precision == .bfloat16 ? .bfloat16 : .float32
        if let earlier = checkpoint?.state.identity { recipe.keepMemoryChoice(of: earlier) }
        self.compute = compute
        let before = Self.memory(beside: compute)
        base = try recipe.withChatTemplate(
            BaseModel.open(recipe.model.path, packing: recipe.model.packing, cache: cache, on: compute, note: note))
        let opening = max(0, Self.memory(beside: compute) - before)
        model = try base.makeModel(on: compute)
        if let remark = base.remark(on: model) { note(remark) }
        if recipe.training.auxLossCoefficient > 0, !model.linears.contains(where: { $0.role == .router }) {
            throw RecipeError([
                recipe.problem(
                    with: "training.aux_loss_coefficient", "is \(recipe.training.auxLossCoefficient), but the model has no experts that tokens are routed to",
                    hint: "leave it out")
            ])
        }
        let streams = try EncodedData.stream(recipe)
        recipe.data.streaming = streams ? .always : .never
        data = streams
            ? try EncodedData(
                streaming: recipe, base: base, vocabularySize: model.vocabularySize, cache: DataCache(cache), on: compute,
                note: note)
            : try EncodedData(recipe, base: base, vocabularySize: model.vocabularySize)
        for remark in data.summaries.flatMap(\.remarks) { note(remark) }
        var identity = try RunIdentity(
            recipe, base, model, data, precision: compute.precision.rawValue,
            instructionSet: InstructionSet.current.rawValue, openBLASCore: BLAS.core)
        let check = checkpoint.map { ResumeCheck(recipe, identity, since: $0.state.identity) }
        if let checkpoint { try check?.approve(allowed, run: checkpoint.run, note: note) }
        adapter = try Self.attach(recipe, to: model, of: base, resuming: checkpoint, on: compute, note: note)
        totalSteps = try recipe.training.steps ?? Self.steps(of: recipe, data)
        if let remark = recipe.schedule(totalSteps: totalSteps).remark { note(remark) }
        let planner = MemoryPlanner(
            recipe, model, data, adapter, compute, merging: Merging(recipe, base, openingBytes: opening))
        memory = try recipe.chooseMemory(planner, limit: memoryLimit, resuming: checkpoint, allowed: allowed, note: note)
        if memory.plan.mappedWeights > 0, let machine = ProcessMemory.limit, memory.plan.readsWeightsAgain(within: machine) {
            note("the base model's weights (\(MemoryPlan.inWords(memory.plan.mappedWeights))) and the run do not fit into \(MemoryPlan.inWords(machine)) together: every step reads weights from the disk")
        }
        identity.settings = recipe.identitySettings
        (self.recipe, self.identity, resumeCheck) = (recipe, identity, check)
    }

    /// Memory of the process that is no buffer.
    private static func memory(beside compute: Compute) -> Int {
        let buffers = compute.buffers.statistics
        return (ProcessMemory.anonymous ?? 0) - buffers.liveBytes - buffers.pooledBytes
    }

    /// Makes the loop over a run folder.
    /// - Parameter checkpoint: the one that this was prepared with.
    public func makeRun(in folder: RunFolder, resuming checkpoint: TrainingCheckpoint? = nil) throws -> TrainingRun {
        try data.writeSkipped(to: folder.url)
        let trainer = Trainer(
            model: model, optimizer: AdamW(adapter.parameters, settings: recipe.optimizerSettings, on: compute),
            schedule: recipe.schedule(totalSteps: totalSteps), maxGradientNorm: recipe.training.maxGradNorm,
            recompute: recipe.training.recompute == .blocks, seed: UInt64(recipe.training.seed), on: compute)
        trainer.auxiliaryLossCoefficient = recipe.training.auxLossCoefficient
        (trainer.splitTokens, trainer.keepsLongAttention) = (memory.splitTokens, memory.keepsLongAttention)
        let stream = try stream(at: checkpoint?.state.cursor ?? DataCursor())
        let settings = TrainingRun.Settings(
            totalSteps: totalSteps, checkpointEverySteps: recipe.checkpoint.everySteps, keep: recipe.checkpoint.keep,
            evaluateEverySteps: recipe.evaluation.everySteps, evaluateAtStart: recipe.evaluation.atStart,
            earlyStopping: recipe.evaluation.earlyStopping, logEverySteps: recipe.training.logEverySteps,
            onNaN: NaNPolicy(rawValue: recipe.training.onNaN.rawValue) ?? .stop,
            evaluationTokens: memory.evaluationTokens, baseModel: base.name,
            adapterMetadata: base.packing?.metadata ?? [:])
        let run = try TrainingRun(
            trainer: trainer, adapter: adapter, stream: stream, validation: data.validation, settings: settings,
            folder: folder, identity: identity, resuming: checkpoint, on: compute)
        if resumeCheck?.movesData == true { run.forgetPlansForData(sources: data.trainSources.count) }
        if resumeCheck?.changes.contains(where: { $0.key == "data.validation" }) == true { run.forgetBest() }
        return run
    }

    /// The training data from a place on; from the next epoch on if other data have no such place.
    private func stream(at cursor: DataCursor) throws -> BatchStream {
        func stream(_ cursor: DataCursor) throws -> BatchStream {
            try BatchStream(
                supply: data.supply(recipe), accumulationSteps: recipe.training.gradientAccumulationSteps,
                epochs: recipe.training.epochs, cursor: cursor)
        }
        do { return try stream(cursor) } catch let problem as DatasetProblem where resumeCheck?.movesData == true {
            guard case .cursorOutside = problem.kind else { throw problem }
            return try stream(DataCursor(epoch: cursor.epoch + 1))
        }
    }

    /// What the run trains and what it leaves as it is.
    public func parameterTable() throws -> ParameterTable {
        try ParameterTable(base: base.tensors, model: model, adapter: adapter)
    }

    private static func attach(
        _ recipe: Recipe, to model: any CausalLanguageModel, of base: BaseModel, resuming checkpoint: TrainingCheckpoint?,
        on compute: Compute, note: (String) -> Void
    ) throws -> LoRAAdapter {
        if let checkpoint {
            return try adapter(AdapterFolder(checkpoint.folder, on: compute), recipe, model)
        }
        if let path = recipe.adapter.path {
            let folder = try AdapterFolder(URL(fileURLWithPath: path), on: compute)
            if let remark = folder.remark(onBaseNamed: base.name) { note(remark) }
            return try adapter(folder, recipe, model)
        }
        do throws(AdapterError) {
            return try LoRAAdapter(
                attaching: recipe.adapterConfiguration, to: model.adapterTargets, seed: UInt64(recipe.training.seed),
                on: compute)
        } catch {
            throw RecipeError([recipe.problem(with: error, layers: model.adapterTargets)])
        }
    }

    /// An adapter from disk. Dropout is the recipe's; rank, alpha and targets are the file's, or, where a run goes on with its own
    /// adapter, rank the file's and the others the recipe's.
    private static func adapter(
        _ file: AdapterFolder, _ recipe: Recipe, _ model: any CausalLanguageModel
    ) throws -> LoRAAdapter {
        try recipe.checkAgreement(with: file.configuration)
        var configuration = file.configuration
        configuration.dropout = Float(recipe.adapter.dropout)
        if recipe.adapter.path == nil {
            let stated = recipe.adapterConfiguration
            (configuration.alpha, configuration.usesRSLoRA) = (stated.alpha, stated.usesRSLoRA)
            (configuration.targets, configuration.excluded) = (stated.targets, stated.excluded)
        }
        return try file.attach(to: model.adapterTargets, as: configuration)
    }

    /// Steps of all epochs; each is packed in its own way.
    private static func steps(of recipe: Recipe, _ data: EncodedData) throws -> Int {
        let stream = try BatchStream(
            supply: data.supply(recipe), accumulationSteps: recipe.training.gradientAccumulationSteps,
            epochs: recipe.training.epochs)
        return try (0..<(recipe.training.epochs ?? 1)).reduce(0) { $0 + (try stream.windowsPerEpoch($1)) }
    }
}

extension Recipe {
    /// Refuses a recipe that states other settings than the adapter it starts from.
    func checkAgreement(with file: AdapterConfiguration) throws(RecipeError) {
        guard adapter.path != nil else { return }
        var problems: [RecipeProblem] = []
        if states("adapter.rank"), adapter.rank != file.rank {
            problems.append(problem(with: "adapter.rank", "is \(adapter.rank), but the adapter at adapter.path has rank \(file.rank)", hint: "leave it out"))
        }
        if states("adapter.alpha"), Float(adapter.alpha) != file.alpha {
            problems.append(problem(with: "adapter.alpha", "is \(adapter.alpha), but the adapter at adapter.path has alpha \(file.alpha)", hint: "leave it out"))
        }
        if states("adapter.use_rslora"), adapter.usesRSLoRA != file.usesRSLoRA {
            problems.append(problem(with: "adapter.use_rslora", "is \(adapter.usesRSLoRA), but the adapter at adapter.path has \(file.usesRSLoRA)", hint: "leave it out"))
        }
        for key in ["adapter.target_modules", "adapter.target_parameters", "adapter.exclude_modules"] where states(key) {
            problems.append(problem(with: key, "cannot be chosen for an existing adapter: exactly the tensors at adapter.path are trained", hint: "leave it out"))
        }
        if !problems.isEmpty { throw RecipeError(problems) }
    }
}
