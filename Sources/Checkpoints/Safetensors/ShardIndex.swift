/// The index of a sharded checkpoint: which file holds which tensor.
struct ShardIndex {
    /// File name by tensor name.
    let shards: [String: String]

    /// Parses the text of `model.safetensors.index.json` and refuses file names that lead out of the folder.
    init(json: UnsafeRawBufferPointer) throws(ShardProblem) {
        var shards: [String: String] = [:]
        var maps = 0
        var duplicate: String?
        var scanner = JSONScanner(json)
        do {
            try scanner.object { (scanner, key) throws(JSONScanner.Failure) in
                guard key == "weight_map" else { return try scanner.skipValue() }
                maps += 1
                try scanner.object { (scanner, name) throws(JSONScanner.Failure) in
                    if shards.updateValue(try scanner.string(), forKey: name) != nil { duplicate = name }
                }
            }
            try scanner.end()
        } catch {
            throw .badIndex(offset: error.offset, error.problem)
        }
        guard maps == 1 else { throw .noWeightMap }
        if let duplicate { throw .duplicateName(duplicate) }
        for shard in Set(shards.values).sorted() where !Self.isPlainName(shard) { throw .unsafeShardName(shard) }
        self.shards = shards
    }

    private static func isPlainName(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
    }
}
