public import Checkpoints
public import TensorCore

/// The tensors of a GGUF file under their Hugging Face names.
public struct GGUFTensorSource: TensorSource {
    private let file: GGUFFile
    private let translation: GGUFTranslation

    /// Looks names up through a translation.
    public init(_ file: GGUFFile, _ translation: GGUFTranslation) {
        (self.file, self.translation) = (file, translation)
    }

    /// Hugging Face names, sorted.
    public var names: [String] { translation.tensors.keys.sorted() }

    /// The tensor with rows in Hugging Face order.
    public func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
        guard let entry = translation.tensors[name] else { throw .noTensor(path: file.path, name: name) }
        let tensor = try file.tensor(entry.name, rowOrder: entry.rowOrder, as: name)
        if entry.offset == 0 { return tensor }
        let values = tensor.expandAll().map { $0 - entry.offset }
        let bytes = values.withUnsafeBytes { MappedBytes(copying: $0) }
        do { return try StoredTensor(name: name, shape: tensor.shape, format: .float32, bytes: bytes) } catch {
            throw .tensor(path: file.path, error)
        }
    }

    /// Whether the file has the tensor.
    public func contains(_ name: String) -> Bool { translation.tensors[name] != nil }
}
