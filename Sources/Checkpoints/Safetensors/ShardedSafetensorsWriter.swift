public import Foundation
import TensorCore

/// Writes the weights of a Hugging Face folder: `model.safetensors`, or, if a shard limit asks for it, several files
/// `model-00001-of-0000N.safetensors` with `model.safetensors.index.json`.
///
/// Use it inside `AtomicDirectory.write`. Tensors may come in any order; nothing is kept in memory.
///
/// Not Sendable: one thread writes.
public final class ShardedSafetensorsWriter: TensorWriter {
    /// The folder written to.
    public let folder: URL
    /// The names of the files, in order.
    public let fileNames: [String]
    private let writers: [SafetensorsWriter]
    private let writerIndex: [String: Int]
    private let dataSize: Int

    /// Divides the tensors, in the order given, into shards of at most `maximumShardBytes` of data (a larger tensor
    /// gets a shard of its own; nil: one file) and creates the files. Fails at once if the disk is too small.
    public init(
        folder: URL, tensors: [TensorDeclaration], metadata: [String: String] = ["format": "pt"],
        maximumShardBytes: Int? = nil
    ) throws(CheckpointError) {
        let shards: [[TensorDeclaration]]
        do {
            shards = try Self.divide(tensors, limit: maximumShardBytes)
            // The layout of everything together also finds names that occur in two shards.
            dataSize = try SafetensorsLayout(tensors, metadata: metadata).dataSize
        } catch {
            throw .writing(path: folder.path, error)
        }
        let names = Self.fileNames(count: shards.count)
        try reportingFiles(try FileSystem.requireSpace(dataSize, for: folder.path, in: folder.path))
        var writers: [SafetensorsWriter] = []
        var index: [String: Int] = [:]
        for (name, shard) in zip(names, shards) {
            for tensor in shard { index[tensor.name] = writers.count }
            let url = folder.appendingPathComponent(name)
            writers.append(try SafetensorsWriter(creating: url, tensors: shard, metadata: metadata))
        }
        (self.folder, fileNames, self.writers, writerIndex) = (folder, names, writers, index)
    }

    private static func divide(
        _ tensors: [TensorDeclaration], limit: Int?
    ) throws(WritingProblem) -> [[TensorDeclaration]] {
        guard let limit else { return [tensors] }
        guard limit > 0 else { throw .badShardLimit(limit) }
        var shards: [[TensorDeclaration]] = [[]]
        var filled = 0
        for tensor in tensors {
            let size = try tensor.byteCount()
            if filled > 0, size > limit - min(filled, limit) {
                shards.append([])
                filled = 0
            }
            shards[shards.count - 1].append(tensor)
            filled += size
        }
        return shards
    }

    private static func fileNames(count: Int) -> [String] {
        func padded(_ number: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        }
        if count == 1 { return ["model.safetensors"] }
        return (1...count).map { "model-\(padded($0))-of-\(padded(count)).safetensors" }
    }

    /// Appends bytes to a tensor as they are: little-endian elements of the declared type.
    public func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws(CheckpointError) {
        try writer(of: name).append(bytes, to: name)
    }

    /// Appends numbers to a tensor of type F32, BF16 or F16, rounding to nearest even where needed.
    public func append(_ values: UnsafeBufferPointer<Float>, to name: String) throws(CheckpointError) {
        try writer(of: name).append(values, to: name)
    }

    private func writer(of name: String) throws(CheckpointError) -> SafetensorsWriter {
        guard let at = writerIndex[name] else { throw .writing(path: folder.path, .notDeclared(name)) }
        return writers[at]
    }

    /// Checks that every tensor is complete, closes the files and writes the index if there are several.
    public func finish() throws(CheckpointError) {
        for writer in writers { try writer.finish() }
        guard writers.count > 1 else { return }
        let members = writerIndex.sorted { $0.key < $1.key }.map { name, at in
            "    \(JSONText.quoted(name)): \(JSONText.quoted(fileNames[at]))"
        }
        let json =
            "{\n  \"metadata\": {\n    \"total_size\": \(dataSize)\n  },\n  \"weight_map\": {\n"
            + members.joined(separator: ",\n") + "\n  }\n}\n"
        let path = folder.appendingPathComponent("model.safetensors.index.json").path
        try reportingFiles(try OutputFile.write(Array(json.utf8), to: path))
    }
}
