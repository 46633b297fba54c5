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
        return try file.tensor(entry.name, rowOrder: entry.rowOrder, as: name)
    }

    /// Whether the file has the tensor.
    public func contains(_ name: String) -> Bool { translation.tensors[name] != nil }
}
