internal import CKernels

extension StoredTensor {
    /// The tensor rounded to bfloat16 (nearest even), in memory, rows in Hugging Face order.
    public func asBfloat16(on compute: Compute) throws(StoredTensorError) -> StoredTensor {
        let bytes = MappedBytes(count: 2 * elementCount) { target in
            guard let target = target.baseAddress?.assumingMemoryBound(to: UInt16.self) else { return }
            compute.forEachRowBlock(of: rows, rowElements: columns) { rows in
                let count = rows.count * columns
                compute.withScratch(count) { values in
                    expand(rows: rows, into: values)
                    martlet_to_bfloat16(Int64(count), values, target + rows.lowerBound * columns)
                }
            }
        }
        return try StoredTensor(name: name, shape: shape, format: .bfloat16, bytes: bytes)
    }
}
