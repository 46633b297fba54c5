/// Something that tensors are written to piece by piece: one safetensors file, or several with an index.
public protocol TensorWriter {
    /// Appends bytes to a declared tensor as they are: little-endian elements of the declared type.
    func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws(CheckpointError)

    /// Appends numbers to a declared tensor of type F32, BF16 or F16, rounding to nearest even where needed.
    func append(_ values: UnsafeBufferPointer<Float>, to name: String) throws(CheckpointError)
}

extension TensorWriter {
    /// Appends numbers to a declared tensor of type F32, BF16 or F16, rounding to nearest even where needed.
    public func append(_ values: [Float], to name: String) throws(CheckpointError) {
        try values.withUnsafeBufferPointer { (buffer) throws(CheckpointError) in try append(buffer, to: name) }
    }
}
