public import TensorCore

/// A GGUF file, version 2 or 3, mapped into memory. Opening it reads and checks metadata and tensor descriptions;
/// weights are read when touched.
public struct GGUFFile: MappedTensors {
    /// The file's path.
    public let path: String
    /// 2 or 3.
    public let version: UInt32
    /// The metadata.
    public let metadata: [String: GGUFValue]
    /// The metadata's keys in the file's order.
    public let keys: [String]
    /// Every tensor in the file's order, also those whose type cannot be computed with.
    public let tensors: [GGUFTensorInfo]
    /// All tensor names, sorted.
    public let names: [String]
    /// Tensor data begin at multiples of this number of bytes.
    public let alignment: Int
    private let index: [String: Int]

    /// Reads a GGUF file that is in memory already; `path` is what errors call it.
    public init(bytes: MappedBytes, path: String) throws(CheckpointError) {
        let contents: GGUFContents
        do {
            contents = try bytes.withUnsafeBytes { (raw) throws(GGUFProblem) in try GGUFContents(raw) }
        } catch {
            throw .gguf(path: path, error)
        }
        self.path = path
        version = contents.version
        metadata = contents.metadata
        keys = contents.keys
        alignment = contents.alignment
        tensors = contents.tensors.map { record in
            let start = contents.dataStart + Int(record.offset)
            return GGUFTensorInfo(
                name: record.name, type: record.type, shape: record.shape,
                bytes: record.byteCount.map { bytes[start..<start + $0] })
        }
        index = Dictionary(uniqueKeysWithValues: tensors.enumerated().map { ($0.element.name, $0.offset) })
        names = index.keys.sorted()
    }

    /// Whether there is a tensor called `name`.
    public func contains(_ name: String) -> Bool { index[name] != nil }

    /// Type, shape and bytes of the tensor called `name`, whatever its element type.
    public func info(_ name: String) throws(CheckpointError) -> GGUFTensorInfo {
        guard let at = index[name] else { throw .noTensor(path: path, name: name) }
        return tensors[at]
    }

    /// The tensor called `name`, rows in the file's order.
    public func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
        try tensor(name, rowOrder: .plain)
    }

    /// The tensor called `name` whose rows lie in the file in `rowOrder`; outside the file it may have another name.
    public func tensor(
        _ name: String, rowOrder: RowOrder, as outerName: String? = nil
    ) throws(CheckpointError) -> StoredTensor {
        let info = try info(name)
        guard let format = info.type.storedFormat, let bytes = info.bytes else {
            throw .unsupportedType(path: path, tensor: name, type: info.type.description)
        }
        do {
            return try StoredTensor(
                name: outerName ?? name, shape: info.shape, format: format, bytes: bytes, rowOrder: rowOrder)
        } catch {
            throw .tensor(path: path, error)
        }
    }
}
