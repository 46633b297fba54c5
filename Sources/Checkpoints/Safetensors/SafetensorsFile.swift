public import TensorCore

/// A safetensors file, mapped into memory. Opening it reads and checks the header; weights are read when touched.
public struct SafetensorsFile: MappedTensors {
    /// The longest header that the format allows, in bytes.
    public static let headerLimit = 100_000_000

    /// The file's path.
    public let path: String
    /// All names, sorted.
    public let names: [String]
    /// The texts under `__metadata__`, empty if there are none.
    public let metadata: [String: String]
    private let entries: [String: SafetensorsEntry]

    /// Reads a safetensors file that is in memory already; `path` is what errors call it.
    public init(bytes: MappedBytes, path: String) throws(CheckpointError) {
        let parsed: (header: SafetensorsHeader, dataStart: Int)
        do {
            parsed = try Self.parse(bytes)
        } catch {
            throw .safetensors(path: path, error)
        }
        self.path = path
        metadata = parsed.header.metadata
        var entries: [String: SafetensorsEntry] = [:]
        entries.reserveCapacity(parsed.header.entries.count)
        for entry in parsed.header.entries {
            let range = parsed.dataStart + entry.data.lowerBound..<parsed.dataStart + entry.data.upperBound
            entries[entry.name] = SafetensorsEntry(
                name: entry.name, type: entry.type, shape: entry.shape, bytes: bytes[range])
        }
        self.entries = entries
        names = entries.keys.sorted()
    }

    private static func parse(
        _ bytes: MappedBytes
    ) throws(SafetensorsProblem) -> (header: SafetensorsHeader, dataStart: Int) {
        try bytes.withUnsafeBytes { (raw) throws(SafetensorsProblem) in
            if GitPointer.isOne(raw) { throw .gitPointer }
            guard raw.count >= 8 else { throw .noHeader(fileSize: raw.count) }
            let length = UInt64(littleEndian: raw.loadUnaligned(as: UInt64.self))
            guard length <= headerLimit else { throw .headerTooLong(length: length, limit: headerLimit) }
            let end = 8 + Int(length)
            guard end <= raw.count else { throw .headerBeyondFile(length: Int(length), fileSize: raw.count) }
            let json = UnsafeRawBufferPointer(rebasing: raw[8..<end])
            return (try SafetensorsHeader(json: json, dataSize: raw.count - end), end)
        }
    }

    /// Whether there is a tensor called `name`.
    public func contains(_ name: String) -> Bool { entries[name] != nil }

    /// Type, shape and bytes of the tensor called `name`, whatever its element type.
    public func entry(_ name: String) throws(CheckpointError) -> SafetensorsEntry {
        guard let entry = entries[name] else { throw .noTensor(path: path, name: name) }
        return entry
    }

    /// The float32, float16 or bfloat16 tensor called `name`.
    public func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
        let entry = try entry(name)
        guard let format = entry.type.storedFormat else {
            throw .unsupportedType(path: path, tensor: name, type: entry.type.rawValue)
        }
        do {
            return try StoredTensor(name: name, shape: entry.shape, format: format, bytes: entry.bytes)
        } catch {
            throw .tensor(path: path, error)
        }
    }
}
