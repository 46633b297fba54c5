import Autograd
public import Checkpoints
public import Foundation
public import Layers
public import Models
public import TensorCore
import Tokenization

/// Folds an adapter into its base model and writes a Hugging Face folder, with proof that the folder computes the same.
public struct ModelMerge {
    /// What was written.
    public struct Report: Sendable {
        /// Tensors in the folder, and those that the adapter changed.
        public let tensors, changed: Int
        /// Logits of base and adapter against those of the folder, on a probe.
        public let comparison: LogitsComparison
        /// Element type of the weights.
        public let type: SafetensorsType
    }

    /// Why a merge was refused.
    public enum Problem: Error, CustomStringConvertible {
        /// The adapter's update is zero.
        case changesNothing(adapter: String)
        /// The written model computes something else.
        case differs(LogitsComparison, limit: Double)

        /// One sentence.
        public var description: String {
            switch self {
            case .changesNothing(let adapter):
                "\(adapter): the adapter changes no weight (its B matrices are zero); was it trained? Without --adapter the base alone is written"
            case .differs(let comparison, let limit):
                "the merged model's logits differ from those of base and adapter by \(comparison.relative) of their size, allowed are \(limit); nothing was written"
            }
        }
    }

    private let base: BaseModel
    private let network: any CausalLanguageModel
    private let adapter: LoRAAdapter?
    private let adapterPath: String
    private let type: SafetensorsType
    private let compute: Compute
    /// Bytes of weights in a file.
    private static let shardBytes = 5_000_000_000

    /// Prepares a merge.
    /// - Parameters:
    ///   - network: the base's network with the adapter attached.
    ///   - type: element type to write; `nil` = float32 if the base is, else bfloat16.
    public init(
        base: BaseModel, network: any CausalLanguageModel, adapter: LoRAAdapter?, adapterPath: String = "",
        type: SafetensorsType? = nil, on compute: Compute
    ) throws {
        (self.base, self.network, self.adapter, self.adapterPath) = (base, network, adapter, adapterPath)
        self.compute = compute
        let isFloat32 = try base.tensors.names.allSatisfy { try base.tensors.tensor($0).format == .float32 }
        self.type = type ?? (isFloat32 ? .float32 : .bfloat16)
    }

    /// Writes the folder; it appears complete and proven, or not at all.
    public func write(to folder: URL, replacing: Bool = false, progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }) throws -> Report {
        let merged = MergedTensors(base.tensors, adapter: adapter)
        let changed = merged.changedNames.count
        if adapter != nil && changed == 0 { throw Problem.changesNothing(adapter: adapterPath) }
        let names = base.tensors.names
        var comparison: LogitsComparison?
        AtomicDirectory.recover(beside: folder)
        try AtomicDirectory.write(to: folder, replacing: replacing) { temporary in
            try writeTensors(merged, names, temporary, progress)
            try AtomicFile.write(try configuration(), to: temporary.appendingPathComponent("config.json"))
            for (name, contents) in base.companions {
                try AtomicFile.write(contents, to: temporary.appendingPathComponent(name))
            }
            comparison = try prove(temporary)
        }
        guard let comparison else { throw Problem.changesNothing(adapter: adapterPath) }
        return Report(tensors: names.count, changed: changed, comparison: comparison, type: type)
    }

    private func writeTensors(
        _ merged: MergedTensors, _ names: [String], _ folder: URL, _ progress: (Int, Int) -> Void
    ) throws {
        let declarations = try names.map { TensorDeclaration(name: $0, shape: try base.tensors.tensor($0).shape, type: type) }
        let writer = try ShardedSafetensorsWriter(folder: folder, tensors: declarations, maximumShardBytes: Self.shardBytes)
        for (index, name) in names.enumerated() {
            try merged.forEachPiece(of: name) { try writer.append($0, to: name) }
            progress(index + 1, names.count)
        }
        try writer.finish()
    }

    /// config.json with the element type that was written.
    private func configuration() throws -> Data {
        let value = try BaseModel.parse(base.configuration, base.path)
        guard var object = value.objectValue else { return base.configuration }
        let name = type == .float32 ? "float32" : "bfloat16"
        object[object["dtype"] == nil ? "torch_dtype" : "dtype"] = .string(name)
        return Data(JSONValue.object(object).serialized(pretty: true).utf8)
    }

    /// Opens what was written and compares its logits with those of base and adapter.
    private func prove(_ folder: URL) throws -> LogitsComparison {
        let probe = LogitsComparison.probe(vocabulary: network.vocabularySize)
        let layout = SequenceLayout(count: probe.count)
        let exact = Compute(sharing: compute, precision: .float32)
        let written = try BaseModel.open(folder.path).makeModel(on: exact)
        let comparison = LogitsComparison(
            network.logits(probe, layout: layout, on: exact), written.logits(probe, layout: layout, on: exact))
        // Rounding every weight to bfloat16 moves logits by a few thousandths of their size, sometimes a few hundredths.
        let limit = type == .float32 ? 1e-4 : 0.1
        if !(comparison.relative <= limit) { throw Problem.differs(comparison, limit: limit) }
        return comparison
    }
}
