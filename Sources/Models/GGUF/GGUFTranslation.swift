public import Foundation
public import TensorCore

/// What a GGUF file is in Hugging Face terms.
public struct GGUFTranslation: Sendable {
    /// Where a tensor is found.
    public enum Entry: Sendable {
        /// A whole tensor of the file.
        case tensor(Piece)
        /// One of several parts of equal size along the first dimension of a tensor: an expert.
        case part(of: String, index: Int, count: Int)
        /// Put together from tensors `[groups, …]`, some of them transposed in every group.
        case assembly(groups: Int, [(name: String, isTransposed: Bool)], StoredAssembly.Arrangement, shape: [Int])
    }

    /// A tensor of the file and how it differs from the Hugging Face one.
    public struct Piece: Sendable {
        /// Its name in the file.
        public var name: String
        /// Order of its rows there.
        public var rowOrder = RowOrder.plain
        /// What the file's numbers have been raised by; is taken off again.
        public var offset: Float = 0

        /// Names a tensor.
        public init(name: String, rowOrder: RowOrder = .plain, offset: Float = 0) {
            (self.name, self.rowOrder, self.offset) = (name, rowOrder, offset)
        }
    }

    /// `model_type` of the configuration.
    public var modelType: String
    /// Contents of `config.json`.
    public var configuration: Data
    /// By Hugging Face name.
    public var tensors: [String: Entry]
}
