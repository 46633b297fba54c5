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
    let compute: Compute

    /// Opens and checks everything that the recipe names.
    /// - Parameters:
    ///   - checkpoint: where the adapter's factors come from when resuming.
    ///   - cache: where packed base models are kept.
    ///   - note: receives sentences about what takes time or went wrong without harm.
    public init(
        _ recipe: Recipe, resuming checkpoint: TrainingCheckpoint? = nil, cache: PackedCache = PackedCache(),
        on compute: Compute, note: (String) -> Void = { _ in }
    ) throws {
        var recipe = recipe
        recipe.training.precision = compute.precision == .bfloat16 ? .bfloat16 : .float32
        recipe.training.recompute = recipe.training.recompute == .blocks ? .blocks : .none
        self.compute = compute
        base = try BaseModel.open(recipe.model.path, packing: recipe.model.packing, cache: cache, on: compute, note: note)
        model = try base.makeModel(on: compute)
        if recipe.training.auxLossCoefficient > 0, !model.linears.contains(where: { $0.role == .router }) {
            throw RecipeError([
                recipe.problem(
                    with: "training.aux_loss_coefficient", "is \(recipe.training.auxLossCoefficient), but the model has no experts that tokens are routed to",
                    hint: "leave it out")
            ])
        }
        let streams = try EncodedData.stream(recipe)
        recipe.data.streaming = streams ? .always : .never
        self.recipe = recipe
        data = streams
            ? try EncodedData(
                streaming: recipe, base: base, vocabularySize: model.vocabularySize, cache: DataCache(cache), on: compute,
                note: note)
            : try EncodedData(recipe, base: base, vocabularySize: model.vocabularySize)
        adapter = try Self.attach(recipe, to: model, resuming: checkpoint, on: compute)
        totalSteps = try recipe.training.steps ?? Self.steps(of: recipe, data)
        identity = RunIdentity(
            base: try base.fingerprint(), tokenizer: try base.tokenizerFingerprint(), data: data.fingerprint,
            recipe: FileDigest.sha256(of: Data(recipe.trainingIdentity.utf8)).hex, precision: compute.precision.rawValue,
            instructionSet: InstructionSet.current.rawValue, openBLASCore: BLAS.core)
    }

    /// Makes the loop over a run folder.
    /// - Throws: ``TrainingError/changed(what:run:)`` if the checkpoint belongs to other inputs.
    public func makeRun(in folder: RunFolder, resuming checkpoint: TrainingCheckpoint? = nil) throws -> TrainingRun {
        if let checkpoint, let changed = identity.changedInputs(since: checkpoint.state.identity).first {
            throw TrainingError.changed(what: changed, run: folder.url.path)
        }
        try data.writeSkipped(to: folder.url)
        let trainer = Trainer(
            model: model, optimizer: AdamW(adapter.parameters, settings: recipe.optimizerSettings, on: compute),
            schedule: recipe.schedule(totalSteps: totalSteps), maxGradientNorm: recipe.training.maxGradNorm,
            recompute: recipe.training.recompute == .blocks, seed: UInt64(recipe.training.seed), on: compute)
        trainer.auxiliaryLossCoefficient = recipe.training.auxLossCoefficient
        let stream = try BatchStream(
            supply: data.supply(recipe), accumulationSteps: recipe.training.gradientAccumulationSteps,
            epochs: recipe.training.epochs, cursor: checkpoint?.state.cursor ?? DataCursor())
        let settings = TrainingRun.Settings(
            totalSteps: totalSteps, checkpointEverySteps: recipe.checkpoint.everySteps, keep: recipe.checkpoint.keep,
            evaluateEverySteps: recipe.evaluation.everySteps, evaluateAtStart: recipe.evaluation.atStart,
            earlyStopping: recipe.evaluation.earlyStopping, logEverySteps: recipe.training.logEverySteps,
            baseModel: base.name, adapterMetadata: base.packing?.metadata ?? [:])
        return try TrainingRun(
            trainer: trainer, adapter: adapter, stream: stream, validation: data.validation, settings: settings,
            folder: folder, identity: identity, resuming: checkpoint, on: compute)
    }

    /// What the run trains and what it leaves as it is.
    public func parameterTable() throws -> ParameterTable {
        try ParameterTable(base: base.tensors, model: model, adapter: adapter)
    }

    /// Writes the trained adapter, with the files of the tokenizer, to the run's `adapter` folder.
    public func writeAdapter(to folder: RunFolder) throws {
        try AtomicDirectory.write(to: folder.adapter, replacing: true) { temporary in
            try AdapterFolder.write(
                adapter, baseModel: base.name, metadata: base.packing?.metadata ?? [:], to: temporary)
            for (name, contents) in try base.companions() where name != "generation_config.json" {
                try AtomicFile.write(contents, to: temporary.appendingPathComponent(name))
            }
        }
    }

    private static func attach(
        _ recipe: Recipe, to model: any CausalLanguageModel, resuming checkpoint: TrainingCheckpoint?, on compute: Compute
    ) throws -> LoRAAdapter {
        if let checkpoint { return try adapter(at: checkpoint.folder, recipe, model, on: compute) }
        if let path = recipe.adapter.path {
            return try adapter(at: URL(fileURLWithPath: path), recipe, model, on: compute)
        }
        return try LoRAAdapter(
            attaching: recipe.adapterConfiguration, to: model.adapterTargets, seed: UInt64(recipe.training.seed), on: compute)
    }

    /// An adapter from disk: rank, alpha and targets are the file's, dropout is the recipe's.
    private static func adapter(
        at folder: URL, _ recipe: Recipe, _ model: any CausalLanguageModel, on compute: Compute
    ) throws -> LoRAAdapter {
        let file = try AdapterFolder(folder, on: compute)
        try recipe.checkAgreement(with: file.configuration)
        var configuration = file.configuration
        configuration.dropout = Float(recipe.adapter.dropout)
        if recipe.adapter.path == nil {
            (configuration.targets, configuration.excluded) = (recipe.adapterConfiguration.targets, recipe.adapterConfiguration.excluded)
        }
        do { return try LoRAAdapter(configuration, factors: file.factors(for: model.adapterTargets), layers: model.adapterTargets) } catch {
            throw ModelError.adapter(place: file.path, error)
        }
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
    /// The settings that decide the result, without where things lie: what must not change when a run is resumed.
    var trainingIdentity: String {
        var neutral = self
        neutral.model.path = ""
        neutral.output = Output(directory: "")
        // The digest of the tokens stands for the files; how often each is visited decides the result too.
        neutral.data.train = data.train.map { source in
            var neutral = Source(path: "")
            neutral.weight = source.weight
            return neutral
        }
        neutral.data.validation = []
        neutral.adapter.path = adapter.path == nil ? nil : ""
        neutral.training.threads = .automatic
        neutral.training.logEverySteps = 1
        neutral.checkpoint = Checkpoint()
        return neutral.resolvedYAML()
    }

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
        for key in ["adapter.target_modules", "adapter.target_parameters", "adapter.exclude_modules"] where states(key) {
            problems.append(problem(with: key, "cannot be chosen for an existing adapter: exactly the tensors at adapter.path are trained", hint: "leave it out"))
        }
        if !problems.isEmpty { throw RecipeError(problems) }
    }
}
