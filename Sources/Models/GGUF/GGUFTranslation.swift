public import Foundation
public import TensorCore

/// What a GGUF file is in Hugging Face terms.
public struct GGUFTranslation: Sendable {
    /// Where a tensor is found.
    public struct Entry: Sendable {
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

    /// Contents of `config.json`.
    public var configuration: Data
    /// By Hugging Face name.
    public var tensors: [String: Entry]
}
