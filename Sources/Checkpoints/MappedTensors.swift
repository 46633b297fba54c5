public import Foundation
public import TensorCore

/// Tensors of one file, which is mapped into memory.
public protocol MappedTensors: TensorSource {
    /// Reads a file that is in memory already and checks everything that it says of its tensors; `path` is what errors
    /// call it.
    init(bytes: MappedBytes, path: String) throws(CheckpointError)
}

extension MappedTensors {
    /// Opens the file at `url` and checks everything that it says of its tensors.
    public init(_ url: URL) throws(CheckpointError) { try self.init(path: url.path) }

    /// Opens the file at `path` and checks everything that it says of its tensors.
    public init(path: String) throws(CheckpointError) {
        let file = try reportingFiles(try MappedFile(path: path))
        try self.init(bytes: MappedBytes(file), path: path)
    }
}
