import Autograd
import Checkpoints
import Datasets
import Foundation
import Layers
import Models
import TensorCore
import Training

/// The tiny model that the tests of Models check against its reference.
let tinyFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../ModelsTests/Fixtures/llama").standardizedFileURL

func tinyModel(_ folder: URL = tinyFolder, on compute: Compute) throws -> any CausalLanguageModel {
    let place = folder.appendingPathComponent("config.json")
    return try Llama.makeModel(
        configuration: try Data(contentsOf: place), tensors: try ShardedSafetensors(folder: folder),
        place: place.path,
        on: compute)
}

/// A copy of the tiny model in which some elements of tensors are others: for each place, the new value or `nil`.
func editedModel(_ edits: [String: (_ row: Int, _ column: Int) -> Float?], in root: URL) throws -> URL {
    let folder = root.appendingPathComponent("edited-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try FileManager.default.copyItem(
        at: tinyFolder.appendingPathComponent("config.json"), to: folder.appendingPathComponent("config.json"))
    var bytes = try Data(contentsOf: tinyFolder.appendingPathComponent("model.safetensors"))
    let headerSize = bytes.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
    let header = try JSONSerialization.jsonObject(with: bytes[8..<8 + headerSize]) as? [String: Any] ?? [:]
    for (tensor, edit) in edits {
        let entry = header[tensor] as? [String: Any] ?? [:]
        guard let start = (entry["data_offsets"] as? [Int])?.first, let shape = entry["shape"] as? [Int] else {
            throw CocoaError(.fileReadCorruptFile)
        }
        for index in 0..<shape[0] * shape[1] {
            guard let value = edit(index / shape[1], index % shape[1]) else { continue }
            let place = 8 + headerSize + start + 2 * index
            let bits = value.bitPattern >> 16
            (bytes[place], bytes[place + 1]) = (UInt8(bits & 0xFF), UInt8(bits >> 8))
        }
    }
    try bytes.write(to: folder.appendingPathComponent("model.safetensors"))
    return folder
}

/// A copy of the tiny model in which one row of a tensor is NaN.
func poisonedModel(_ tensor: String, row poisoned: Int, in root: URL) throws -> URL {
    try editedModel([tensor: { row, _ in row == poisoned ? .nan : nil }], in: root)
}

/// A copy of the tiny model in which one token makes the gradient overflow in the feed-forward part of layer 1, while all
/// that the forward pass computes is as moderate as ever.
///
/// Dimension 0 of the residual stream is zero up to there, but for that token. Unit 0 of the feed-forward part multiplies it
/// by 1e20, but its gate is shut, so that nothing comes out; the gradient of the gate is that product times 1e30.
func overflowingModel(token: Int, in root: URL) throws -> URL {
    let keepsOut: (Int, Int) -> Float? = { row, _ in row == 0 ? 0 : nil }
    return try editedModel(
        [
            "model.embed_tokens.weight": { row, column in column == 0 ? (row == token ? 1 : 0) : nil },
            "model.layers.0.self_attn.o_proj.weight": keepsOut, "model.layers.0.mlp.down_proj.weight": keepsOut,
            "model.layers.1.self_attn.o_proj.weight": keepsOut, "model.layers.1.mlp.gate_proj.weight": keepsOut,
            "model.layers.1.mlp.up_proj.weight": { row, column in row == 0 ? (column == 0 ? 1e20 : 0) : nil },
            "model.layers.1.mlp.down_proj.weight": { _, column in column == 0 ? 1e30 : nil },
        ], in: root)
}

/// Sequences of the given lengths with reproducible ids of the tiny vocabulary; every fifth label is not trained.
func examples(_ lengths: [Int], seed: UInt64 = 1) -> [EncodedExample] {
    lengths.enumerated().map { number, length in
        let ids = RandomStream(seed: seed, purpose: .sampling, stream: UInt64(number)).uniform(count: length).map {
            Int32($0 * 288)
        }
        return EncodedExample(ids: ids, labels: ids.enumerated().map { $0 % 5 == 4 ? TokenBatch.ignoredLabel : $1 })
    }
}

/// Batches of one optimiser step, each with the number of tokens before it.
func window(_ batches: [[EncodedExample]]) -> [TokenBatch] {
    var offset = 0
    return batches.map { batch in
        defer { offset += batch.reduce(0) { $0 + $1.ids.count } }
        return TokenBatch(batch, streamOffset: offset)
    }
}

/// A model, its adapter and a trainer over them.
struct Bench {
    let model: any CausalLanguageModel
    let adapter: LoRAAdapter
    let trainer: Trainer

    init(
        rate: Double = 1e-3, decay: LearningRateSchedule.Decay = .constant, steps: Int = 100, dropout: Float = 0,
        maxGradientNorm: Double = 0, settings: AdamW.Settings = AdamW.Settings(), from checkpoint: URL? = nil,
        base: URL = tinyFolder, targets: ModuleSelection = .group(.allLinear), recompute: Bool = false, on compute: Compute
    ) throws {
        model = try tinyModel(base, on: compute)
        if let checkpoint {
            adapter = try AdapterFolder(checkpoint, on: compute).attach(to: model.linears)
        } else {
            adapter = try LoRAAdapter(
                attaching: AdapterConfiguration(rank: 4, alpha: 8, dropout: dropout, targets: targets), to: model.linears, seed: 7,
                on: compute)
        }
        trainer = Trainer(
            model: model, optimizer: AdamW(adapter.parameters, settings: settings, on: compute),
            schedule: LearningRateSchedule(peak: rate, decay: decay, warmupSteps: 0, totalSteps: steps),
            maxGradientNorm: maxGradientNorm, recompute: recompute, seed: 3, on: compute)
    }

    /// Sets B to small numbers: with B zero the gradient of A is zero.
    func stir() {
        for (index, parameter) in adapter.parameters.enumerated() where index % 2 == 1 {
            let count = parameter.value.count
            let values = RandomStream(seed: 9, purpose: .initialization, stream: UInt64(index)).uniform(count: count)
            parameter.update { target in for i in 0..<count { target[i] = (values[i] - 0.5) * 0.1 } }
        }
    }

    /// The mean gradient of the first step, from the first moment: m = (1 − β₁) · g.
    var firstGradients: [[Double]] {
        let share = 1 - trainer.optimizer.settings.beta1
        return trainer.optimizer.first.map { $0.toArray().map { Double($0) / share } }
    }
}

func relativeError(_ a: [Double], _ b: [Double]) -> Double {
    guard a.count == b.count else { return .infinity }
    let difference = zip(a, b).reduce(0.0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    return (difference / b.reduce(0.0) { $0 + $1 * $1 }).squareRoot()
}

/// Trains the tiny model for four steps in the folder of a run, or goes on from a checkpoint there.
func shortRun(
    in folder: RunFolder, base: URL = tinyFolder, validation: [EncodedDataset] = [], from checkpoint: TrainingCheckpoint? = nil,
    on compute: Compute, _ change: (inout TrainingRun.Settings) -> Void = { _ in }
) throws -> (state: TrainingState, notes: [String]) {
    let bench = try Bench(from: checkpoint?.folder, base: base, on: compute)
    let known = examples((0..<12).map { 6 + $0 % 5 }).map { EncodedExample(ids: $0.ids.map { min($0, 280) }) }
    let stream = try BatchStream(
        dataset: EncodedDataset(known), options: BatchOptions(size: .sequences(2)), accumulationSteps: 1, epochs: nil,
        cursor: checkpoint?.state.cursor ?? DataCursor())
    var settings = TrainingRun.Settings(totalSteps: 4, checkpointEverySteps: 1, evaluateEverySteps: 1)
    change(&settings)
    let run = try TrainingRun(
        trainer: bench.trainer, adapter: bench.adapter, stream: stream, validation: validation, settings: settings,
        folder: folder, identity: identity, resuming: checkpoint, on: compute)
    var notes: [String] = []
    _ = try run.run(shouldStop: { false }) { if case .note(let text) = $0 { notes.append(text) } }
    return (run.state, notes)
}

/// Runs `body` with a fresh folder that is deleted afterwards.
func withFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
}

/// What `body` throws as a training error; nil if it succeeds or throws something else.
func trainingError(_ body: () throws -> Void) -> TrainingError? {
    do {
        try body()
        return nil
    } catch {
        return error as? TrainingError
    }
}

/// The identity of the runs of these tests.
let identity = RunIdentity(
    base: "b", tokenizer: "t", data: "d", validation: "v", network: "n", settings: ["training.seed": "42"], version: "1",
    precision: "float32", instructionSet: "any", openBLASCore: "any")
