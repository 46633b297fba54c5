/// The ways in which a sharded checkpoint or its folder can be wrong.
public enum ShardProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The folder holds neither `model.safetensors` nor its index.
    case noCheckpoint
    /// The index is not the JSON it should be.
    case badIndex(offset: Int, JSONProblem)
    /// The index has no `weight_map`, or has it twice.
    case noWeightMap
    /// The index assigns a tensor to two files.
    case duplicateName(String)
    /// A shard's name is not a plain file name.
    case unsafeShardName(String)
    /// A shard that the index names does not exist.
    case missingShard(String)
    /// A shard lacks a tensor that the index assigns to it.
    case missingTensor(name: String, shard: String)

    /// The rest of a sentence that starts with the path.
    public var description: String {
        switch self {
        case .noCheckpoint:
            "the folder holds neither model.safetensors nor model.safetensors.index.json"
        case .badIndex(let offset, let problem): "the index is no valid JSON at byte \(offset): \(problem)"
        case .noWeightMap: "the index must have exactly one weight_map"
        case .duplicateName(let name): "the index lists tensor \(name) twice"
        case .unsafeShardName(let name):
            "the index names the shard \"\(name)\", which is not a plain file name in its own folder"
        case .missingShard(let name): "the shard \(name) that the index names is missing; is the download complete?"
        case .missingTensor(let name, let shard): "the index assigns tensor \(name) to \(shard), which lacks it"
        }
    }
}
