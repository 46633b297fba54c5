import Autograd
import Checkpoints
import Foundation
import Models
import TensorCore
import Testing

/// Changes the configuration of a recorded model and expects its logits to move as far, and its losses to become, as
/// was recorded for that change. A feature that is read but not used would not move them.
/// - Parameter ablation: name of the change in `expected.json`.
func expectAblation(
    _ name: String, _ ablation: String, config: String = "config.json",
    sourceLocation: SourceLocation = #_sourceLocation,
    _ change: (inout [String: Any]) -> Void
) throws {
    let compute = try Compute(threadCount: 2)
    let reference = try Reference(name)
    let recorded = try #require(
        reference.section("ablations")[ablation] as? [String: Double], "\(ablation)", sourceLocation: sourceLocation)
    let changed = try reference.model(config: config, on: compute, changing: change)
    let (ids, targets, layout) = try reference.batch()
    let moved = largestDifference(
        changed.logits(ids, layout: layout, on: compute).toArray(), try reference.floats("logits"))
    let expected = try #require(recorded["max_abs_logit_diff"])
    #expect(expected > 0.1 && abs(Double(moved) - expected) < 1e-3, "moved \(moved)", sourceLocation: sourceLocation)
    let loss = meanLoss(changed, ids, targets, layout, on: compute)
    #expect(abs(loss - (recorded["loss"] ?? .nan)) < 1e-4, "loss \(loss)", sourceLocation: sourceLocation)
    let long = try reference.ids("long_input_ids")
    let last = try reference.floats("long_logits_last8")
    let logits = changed.logits(long, layout: SequenceLayout(count: long.count), on: compute).toArray()
    let movedFar = largestDifference(Array(logits.suffix(last.count)), last)
    let expectedFar = try #require(recorded["long_max_abs_logit_diff"])
    // The recorded figure is over all positions, of which the last eight were kept.
    #expect(
        movedFar > 0.1 && Double(movedFar) < expectedFar + 1e-3, "moved \(movedFar) far", sourceLocation: sourceLocation
    )
}

/// Changes some tensors of a recorded model and returns how far its logits move.
/// - Parameter change: from the name and the values of a tensor to other values; nil leaves it.
func movement(_ name: String, _ change: @escaping @Sendable (String, [Float]) -> [Float]?) throws -> Float {
    let compute = try Compute(threadCount: 2)
    let reference = try Reference(name)
    let place = reference.folder.appendingPathComponent("config.json")
    let configuration = try Data(contentsOf: place)
    let type = (try JSONSerialization.jsonObject(with: configuration) as? [String: Any])?["model_type"] as? String ?? ""
    let model = try ModelRegistry.architecture(modelType: type, place: place.path).makeModel(
        configuration: configuration, tensors: ChangedTensors(base: try reference.source(), change: change),
        place: place.path, on: compute)
    let (ids, _, layout) = try reference.batch()
    return largestDifference(
        model.logits(ids, layout: layout, on: compute).toArray(), try reference.floats("logits"))
}

/// The tensors of a checkpoint, some with other values.
private struct ChangedTensors: TensorSource {
    let base: ShardedSafetensors
    let change: @Sendable (String, [Float]) -> [Float]?

    var names: [String] { base.names }
    func contains(_ name: String) -> Bool { base.contains(name) }

    func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
        let tensor = try base.tensor(name)
        guard let values = change(name, tensor.expandAll()) else { return tensor }
        let bytes = values.withUnsafeBytes { MappedBytes(copying: $0) }
        do { return try StoredTensor(name: name, shape: tensor.shape, format: .float32, bytes: bytes) } catch {
            throw .tensor(path: name, error)
        }
    }
}

/// The tensors of a checkpoint under other names; a tensor may have several.
struct RenamedTensors: TensorSource {
    let base: ShardedSafetensors
    /// From a name to the one in the checkpoint.
    let stored: [String: String]

    init(_ base: ShardedSafetensors, _ names: (String) -> [String]) {
        self.base = base
        stored = Dictionary(base.names.flatMap { name in names(name).map { ($0, name) } }) { first, _ in first }
    }

    var names: [String] { stored.keys.sorted() }
    func contains(_ name: String) -> Bool { stored[name] != nil }
    func tensor(_ name: String) throws(CheckpointError) -> StoredTensor { try base.tensor(stored[name] ?? name) }
}

/// Builds a recorded model after a change of its configuration.
/// - Returns: the sentence with which it is refused, empty if it is not.
func refusal(_ name: String, config: String = "config.json", _ change: (inout [String: Any]) -> Void) throws -> String {
    do {
        _ = try Reference(name).model(config: config, on: try Compute(threadCount: 1), changing: change)
        return ""
    } catch let error as ModelError {
        return "\(error)"
    }
}
