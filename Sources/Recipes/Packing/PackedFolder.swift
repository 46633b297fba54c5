import Checkpoints
public import Foundation
public import Models
public import TensorCore
import Tokenization

/// A packed base model on disk: a Hugging Face folder in bitsandbytes' layout, which transformers loads as it is.
public enum PackedFolder {
    /// What was written.
    public struct Report: Sendable {
        /// Tensors that were packed, and all.
        public let packed, tensors: Int
        /// Bytes of the weights before and after.
        public let bytesBefore, bytesAfter: Int
    }

    /// Bytes of weights in a file.
    private static let shardBytes = 5_000_000_000

    /// Fills a folder that exists; in memory is one tensor at a time.
    /// - Parameter network: the base's network: its linear layers are what is packed.
    public static func write(
        _ base: BaseModel, network: any CausalLanguageModel, packing: Packing, to folder: URL, on compute: Compute,
        progress: (_ done: Int, _ of: Int) throws -> Void = { _, _ in }
    ) throws -> Report {
        let packed = PackedTensors(base, network: network, packing: packing, on: compute)
        let report = try write(packed, base, packing, to: folder, progress: progress)
        try AtomicFile.write(try configuration(of: base, packing), to: folder.appendingPathComponent("config.json"))
        for (name, contents) in try base.companions() {
            try AtomicFile.write(contents, to: folder.appendingPathComponent(name))
        }
        return report
    }

    private static func write(
        _ packed: PackedTensors, _ base: BaseModel, _ packing: Packing, to folder: URL, progress: (Int, Int) throws -> Void
    ) throws -> Report {
        let names = packed.names
        var declarations: [TensorDeclaration] = []
        var (count, before) = (0, 0)
        for name in names {
            let tensor = try base.tensors.tensor(name)
            before += tensor.byteCount
            switch try packed.form(of: tensor) {
            case .plain(let type): declarations.append(TensorDeclaration(name: name, shape: tensor.shape, type: type))
            case .fourBit:
                count += 1
                declarations += BitsandbytesWriting.declarations(
                    name: name, shape: tensor.shape, doubleQuantization: packing.doubleQuantization)
            }
        }
        let writer = try ShardedSafetensorsWriter(folder: folder, tensors: declarations, maximumShardBytes: shardBytes)
        var after = 0
        for (index, name) in names.enumerated() {
            after += try append(name, packed, base, to: writer)
            try progress(index + 1, names.count)
        }
        try writer.finish()
        return Report(packed: count, tensors: names.count, bytesBefore: before, bytesAfter: after)
    }

    /// Writes one tensor and returns its size.
    private static func append(
        _ name: String, _ packed: PackedTensors, _ base: BaseModel, to writer: ShardedSafetensorsWriter
    ) throws -> Int {
        let form = try packed.form(of: base.tensors.tensor(name))
        let tensor = try packed.tensor(name)
        defer { tensor.release() }
        switch (form, tensor.contents) {
        case (.fourBit(let type), .fourBit(let matrix)):
            try BitsandbytesWriting.append(matrix, name: name, shape: tensor.shape, type: type, to: writer)
        case (.plain(let type), .rows(let format, let bytes, .plain)) where type.storedFormat == format:
            try bytes.withUnsafeBytes { try writer.append($0, to: name) }
        default:
            try writer.append(tensor.expandAll(), to: name)
        }
        return tensor.byteCount
    }

    /// config.json with the settings by which transformers knows how to load the weights.
    private static func configuration(of base: BaseModel, _ packing: Packing) throws -> Data {
        let value = try BaseModel.parse(base.configuration, base.path)
        guard var object = value.objectValue else { return base.configuration }
        let key = object["dtype"] == nil ? "torch_dtype" : "dtype"
        let type = object[key]?.stringValue ?? "bfloat16"
        object["quantization_config"] = .object([
            "quant_method": .string("bitsandbytes"), "load_in_4bit": .bool(true), "load_in_8bit": .bool(false),
            "_load_in_4bit": .bool(true), "_load_in_8bit": .bool(false), "bnb_4bit_quant_type": .string("nf4"),
            "bnb_4bit_use_double_quant": .bool(packing.doubleQuantization),
            "bnb_4bit_compute_dtype": .string(type == "float32" ? "float32" : type),
            "bnb_4bit_quant_storage": .string("uint8"), "llm_int8_enable_fp32_cpu_offload": .bool(false),
            "llm_int8_has_fp16_weight": .bool(false), "llm_int8_skip_modules": .null,
            "llm_int8_threshold": .number(6.0),
        ])
        return Data(JSONValue.object(object).serialized(pretty: true).utf8)
    }
}
