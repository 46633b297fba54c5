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
        switch translation.tensors[name] {
        case nil: throw .noTensor(path: file.path, name: name)
        case .tensor(let piece): return try tensor(piece, as: name)
        case .part(let stored, let index, let count):
            let whole = try file.tensor(stored)
            return try building { () throws(StoredTensorError) in
                try whole.part(index, of: count, name: name)
            }
        case .assembly(let groups, let pieces, let arrangement, let shape):
            var parts: [(tensor: StoredTensor, isTransposed: Bool)] = []
            for piece in pieces { parts.append((try file.tensor(piece.name), piece.isTransposed)) }
            return try building { () throws(StoredTensorError) in
                try StoredTensor(
                    name: name, shape: shape,
                    assembly: StoredAssembly(name: name, groups: groups, parts, arrangement))
            }
        }
    }

    private func tensor(_ piece: GGUFTranslation.Piece, as name: String) throws(CheckpointError) -> StoredTensor {
        let tensor = try file.tensor(piece.name, rowOrder: piece.rowOrder, as: name)
        if piece.offset == 0 { return tensor }
        let values = tensor.expandAll().map { $0 - piece.offset }
        let bytes = values.withUnsafeBytes { MappedBytes(copying: $0) }
        return try building { () throws(StoredTensorError) in
            try StoredTensor(name: name, shape: tensor.shape, format: .float32, bytes: bytes)
        }
    }

    private func building(
        _ body: () throws(StoredTensorError) -> StoredTensor
    ) throws(CheckpointError) -> StoredTensor {
        do { return try body() } catch { throw .tensor(path: file.path, error) }
    }

    /// Whether the file has the tensor.
    public func contains(_ name: String) -> Bool { translation.tensors[name] != nil }
}
