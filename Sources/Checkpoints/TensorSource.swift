public import TensorCore

/// Something that hands out tensors by name: a safetensors file, a set of shards, a GGUF file.
public protocol TensorSource: Sendable {
    /// All names, sorted.
    var names: [String] { get }

    /// The tensor called `name` as it lies in the file; no weight is read yet.
    ///
    /// - Throws: `CheckpointError` if there is none or its element type cannot be computed with.
    func tensor(_ name: String) throws(CheckpointError) -> StoredTensor

    /// Whether there is a tensor called `name`, whatever its element type.
    func contains(_ name: String) -> Bool
}
