public import Foundation
public import TensorCore

/// The weights of a Hugging Face folder: one safetensors file, or several with an index.
public struct ShardedSafetensors: TensorSource {
    /// The folder.
    public let folder: URL
    /// All names, sorted.
    public let names: [String]
    /// The files, sorted by name.
    public let files: [SafetensorsFile]
    private let fileIndex: [String: Int]

    /// Opens `model.safetensors` in `folder`, or, if there is none, the shards that its index names.
    ///
    /// With an index exactly the tensors it lists are visible, and each must be in the file it names.
    public init(folder: URL) throws(CheckpointError) {
        let single = folder.appendingPathComponent("model.safetensors")
        let index = folder.appendingPathComponent("model.safetensors.index.json")
        if FileManager.default.fileExists(atPath: single.path) {
            try self.init(folder: folder, file: single)
        } else if FileManager.default.fileExists(atPath: index.path) {
            try self.init(folder: folder, index: index)
        } else if FileManager.default.fileExists(atPath: folder.path) {
            throw .shards(path: folder.path, .noCheckpoint)
        } else {
            throw .file(FileError(action: "open", path: folder.path, code: ENOENT))
        }
    }

    private init(folder: URL, file: URL) throws(CheckpointError) {
        let opened = try SafetensorsFile(file)
        self.folder = folder
        files = [opened]
        names = opened.names
        fileIndex = Dictionary(uniqueKeysWithValues: opened.names.map { ($0, 0) })
    }

    private init(folder: URL, index: URL) throws(CheckpointError) {
        let text = try reportingFiles(MappedBytes(try MappedFile(path: index.path)))
        let shards: [String: String]
        do {
            shards = try text.withUnsafeBytes { (json) throws(ShardProblem) in try ShardIndex(json: json).shards }
        } catch {
            throw .shards(path: index.path, error)
        }
        var files: [SafetensorsFile] = []
        var position: [String: Int] = [:]
        for shard in Set(shards.values).sorted() {
            let url = folder.appendingPathComponent(shard)
            guard FileManager.default.fileExists(atPath: url.path) else {
                throw .shards(path: index.path, .missingShard(shard))
            }
            position[shard] = files.count
            files.append(try SafetensorsFile(url))
        }
        names = shards.keys.sorted()
        var fileIndex: [String: Int] = [:]
        for name in names {
            guard let shard = shards[name], let at = position[shard], files[at].contains(name) else {
                throw .shards(path: index.path, .missingTensor(name: name, shard: shards[name] ?? ""))
            }
            fileIndex[name] = at
        }
        (self.folder, self.files, self.fileIndex) = (folder, files, fileIndex)
    }

    /// Whether there is a tensor called `name`.
    public func contains(_ name: String) -> Bool { fileIndex[name] != nil }

    /// Type, shape and bytes of the tensor called `name`, whatever its element type.
    public func entry(_ name: String) throws(CheckpointError) -> SafetensorsEntry {
        guard let at = fileIndex[name] else { throw .noTensor(path: folder.path, name: name) }
        return try files[at].entry(name)
    }

    /// The float32, float16 or bfloat16 tensor called `name`.
    public func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
        guard let at = fileIndex[name] else { throw .noTensor(path: folder.path, name: name) }
        return try files[at].tensor(name)
    }
}
