extension StoredTensor {
    /// One of several equal parts along the first dimension: of `[experts, outputs, inputs]` the matrix of an expert.
    /// It lies where the whole does.
    /// - Throws: `StoredTensorError` if the rows are not so many equal parts, or do not lie one after another.
    public func part(_ index: Int, of count: Int, name: String) throws(StoredTensorError) -> StoredTensor {
        guard case .rows(let format, let bytes, .plain) = contents, count > 0, (0..<count).contains(index),
            shape.count > 1, rows % count == 0
        else { throw .assembly(tensor: name, part: self.name, shape: shape) }
        let size = bytes.count / count
        return try StoredTensor(
            name: name, shape: [rows / count, columns], format: format,
            bytes: bytes[index * size..<(index + 1) * size])
    }
}
