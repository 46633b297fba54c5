import Autograd
import Checkpoints
import Foundation
import Layers
import Models
import TensorCore

/// The folder of recorded files beside the tests.
let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

/// The recorded models: a folder with both forms of `config.json` and what the model must produce is one.
let references: [String] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: fixtures.path)) ?? []
    return names.sorted().filter { name in
        ["config.v5.json", "expected.json"].allSatisfy { file in
            FileManager.default.fileExists(atPath: fixtures.appendingPathComponent("\(name)/\(file)").path)
        }
    }
}()

/// A tiny model and what another implementation computed with it.
struct Reference {
    let folder: URL
    let tensors: SafetensorsFile
    let numbers: [String: Any]

    init(_ name: String) throws {
        folder = fixtures.appendingPathComponent(name)
        tensors = try SafetensorsFile(folder.appendingPathComponent("expected.safetensors"))
        let data = try Data(contentsOf: folder.appendingPathComponent("expected.json"))
        numbers = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
    }

    func floats(_ name: String) throws -> [Float] { try tensors.tensor(name).expandAll() }
    func ids(_ name: String) throws -> [Int32] { try (tensors.entry(name).integers() ?? []).map { Int32($0) } }
    func number(_ key: String) -> Double { numbers[key] as? Double ?? .nan }
    func section(_ key: String) -> [String: Any] { numbers[key] as? [String: Any] ?? [:] }

    func source() throws -> ShardedSafetensors { try ShardedSafetensors(folder: folder) }

    /// The model, perhaps after a change of its configuration.
    func model(
        config: String = "config.json", on compute: Compute, changing change: (inout [String: Any]) -> Void = { _ in }
    ) throws -> any CausalLanguageModel {
        let place = folder.appendingPathComponent(config)
        var object = try JSONSerialization.jsonObject(with: Data(contentsOf: place)) as? [String: Any] ?? [:]
        change(&object)
        let architecture = try ModelRegistry.architecture(
            modelType: object["model_type"] as? String ?? "", place: place.path)
        return try architecture.makeModel(
            configuration: try JSONSerialization.data(withJSONObject: object), tensors: try source(), place: place.path,
            on: compute)
    }

    func attachAdapter(to model: any CausalLanguageModel, on compute: Compute) throws -> LoRAAdapter {
        try AdapterFolder(folder.appendingPathComponent("adapter"), on: compute).attach(to: model.linears)
    }

    /// The two sequences of `input_ids`, one after the other, and the targets of their next tokens.
    func batch(labels: String = "input_ids") throws -> (ids: [Int32], targets: [Int32], layout: SequenceLayout) {
        let (ids, labels) = (try ids("input_ids"), try self.ids(labels))
        let length = ids.count / 2
        let targets = labels.indices.map { ($0 + 1) % length == 0 ? -100 : labels[$0 + 1] }
        return (ids, targets, SequenceLayout(offsets: [0, length, 2 * length]))
    }
}

/// How far results may lie from those of another implementation in float32.
enum Tolerance {
    /// Logits, absolute. Two float32 implementations differ by about 2e-5.
    static let logits: Float = 2e-4
    /// Losses, absolute.
    static let loss = 1e-5
    /// ‖a − b‖ / ‖b‖ of the gradient of one tensor.
    static let gradient = 1e-4
    /// Merged weights, absolute.
    static let merged: Float = 1e-6
    /// Root mean square difference of logits over that of the logits, bfloat16 against float32: eight bits of
    /// mantissa at every product of three layers.
    static let bfloat16Logits = 3e-2
    /// Losses, bfloat16 against float32, absolute.
    static let bfloat16Loss = 3e-2
}

func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
    guard a.count == b.count else { return .infinity }
    return zip(a, b).reduce(0) { max($0, ($1.0 - $1.1).isNaN ? .infinity : abs($1.0 - $1.1)) }
}

func relativeError(_ a: [Float], _ b: [Float]) -> Double {
    guard a.count == b.count else { return .infinity }
    let difference = zip(a, b).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
    return (difference / b.reduce(0.0) { $0 + pow(Double($1), 2) }).squareRoot()
}

/// Mean loss over the supervised tokens and the summed gradients, if some are asked for.
func meanLoss(
    _ model: any CausalLanguageModel, _ ids: [Int32], _ targets: [Int32], _ layout: SequenceLayout,
    gradients: Gradients? = nil, recompute: Bool = false, keepsLongAttention: Bool = false, dropout: DropoutContext? = nil,
    on compute: Compute
) -> Double {
    let graph = Graph(compute: compute, gradients: gradients)
    (graph.dropout, graph.keepsLongAttention) = (dropout, keepsLongAttention)
    let hidden = model.hiddenStates(ids, layout: layout, cache: nil, recompute: recompute, in: graph)
    let (loss, sum) = model.loss(hidden, targets: targets, in: graph)
    graph.backward(from: loss)
    return sum / Double(targets.count { $0 >= 0 })
}
