public import TensorCore

/// Writes tensors packed in 4 bits as bitsandbytes lays them out, for `transformers` to load.
public enum BitsandbytesWriting {
    /// The tensors that a packed tensor of `shape` becomes in a file.
    /// - Parameter blockSize: elements that share a scale.
    public static func declarations(
        name: String, shape: [Int], blockSize: Int = 64, doubleQuantization: Bool
    ) -> [TensorDeclaration] {
        let count = shape.reduce(1, *)
        let blocks = (count + blockSize - 1) / blockSize
        var parts = [
            TensorDeclaration(name: name, shape: [(count + 1) / 2, 1], type: .uint8),
            TensorDeclaration(name: name + ".absmax", shape: [blocks], type: doubleQuantization ? .uint8 : .float32),
            TensorDeclaration(name: name + ".quant_map", shape: [16], type: .float32),
            TensorDeclaration(name: name + ".quant_state.bitsandbytes__nf4", shape: [QuantState.paddedSize], type: .uint8),
        ]
        if doubleQuantization {
            parts.append(TensorDeclaration(name: name + ".nested_absmax", shape: [(blocks + 255) / 256], type: .float32))
            parts.append(TensorDeclaration(name: name + ".nested_quant_map", shape: [256], type: .float32))
        }
        return parts
    }

    /// Appends the parts of a packed tensor.
    /// - Parameter type: what the tensor was before: `bfloat16`, `float16` or `float32`.
    public static func append(
        _ matrix: FourBitMatrix, name: String, shape: [Int], type: String, to writer: some TensorWriter
    ) throws(CheckpointError) {
        var state = QuantState(quantType: "nf4", blockSize: matrix.blockSize, type: type, shape: shape)
        try append(matrix.codes, to: name, writer)
        try writer.append(matrix.table, to: name + ".quant_map")
        switch matrix.scales {
        case .single(let scales): try append(scales, to: name + ".absmax", writer)
        case .double(let codes, let table, let groups, let groupSize, let offset):
            try append(codes, to: name + ".absmax", writer)
            try writer.append(groups, to: name + ".nested_absmax")
            try writer.append(table, to: name + ".nested_quant_map")
            (state.nestedBlockSize, state.nestedType, state.nestedOffset) = (groupSize, "float32", Double(offset))
        }
        try append(MappedBytes(copying: state.bytes()), to: name + ".quant_state.bitsandbytes__nf4", writer)
    }

    private static func append(
        _ bytes: MappedBytes, to name: String, _ writer: some TensorWriter
    ) throws(CheckpointError) {
        try bytes.withUnsafeBytes { (raw) throws(CheckpointError) in try writer.append(raw, to: name) }
    }
}
