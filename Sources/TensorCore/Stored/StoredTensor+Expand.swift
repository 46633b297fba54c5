extension StoredTensor {
    /// Writes `rows` as float32, `[rows.count, columns]`, exactly and in Hugging Face order.
    ///
    /// `rows` must lie within `0..<self.rows`; `target` needs room for `rows.count × columns` floats. Several threads
    /// may expand the same tensor at once.
    public func expand(rows: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        precondition(
            rows.lowerBound >= 0 && rows.upperBound <= self.rows,
            "rows \(rows) of tensor \(name) asked for, which has \(self.rows)")
        guard !rows.isEmpty, columns > 0 else { return }
        bytes.withUnsafeBytes { stored in
            guard let start = stored.baseAddress else { return }
            let blocksPerRow = columns / format.blockElements
            if rowOrder == .plain {
                let first = start + rows.lowerBound * bytesPerRow
                format.expand(first, blocks: rows.count * blocksPerRow, into: target)
            } else if shape.count == 1 {
                expandReorderedVector(start, into: target)
            } else {
                for (index, row) in rows.enumerated() {
                    let first = start + rowOrder.storedRow(row) * bytesPerRow
                    format.expand(first, blocks: blocksPerRow, into: target + index * columns)
                }
            }
        }
    }

    /// A reordered vector is one row whose elements change places.
    private func expandReorderedVector(_ start: UnsafeRawPointer, into target: UnsafeMutablePointer<Float>) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { stored in
            guard let inFileOrder = stored.baseAddress else { return }
            format.expand(start, blocks: columns / format.blockElements, into: inFileOrder)
            for element in 0..<columns { target[element] = inFileOrder[rowOrder.storedRow(element)] }
        }
    }

    /// The whole tensor as float32, `[rows, columns]`: for norms, biases and tests; 4 bytes per element.
    public func expandAll() -> [Float] {
        [Float](unsafeUninitializedCapacity: elementCount) { buffer, count in
            if let target = buffer.baseAddress { expand(rows: 0..<rows, into: target) }
            count = elementCount
        }
    }

    /// The stored bytes of Hugging Face row `row`, valid as long as the tensor's bytes live. Not for reordered vectors.
    public func storedBytes(row: Int) -> UnsafeRawBufferPointer {
        precondition(row >= 0 && row < rows, "row \(row) of tensor \(name) asked for, which has \(rows)")
        precondition(shape.count != 1 || rowOrder == .plain, "the vector \(name) has no row in this order")
        let first = rowOrder.storedRow(row) * bytesPerRow
        return UnsafeRawBufferPointer(rebasing: bytes.unsafeBytes[first..<first + bytesPerRow])
    }

    /// The float32 numbers where they lie, `[rows, columns]`, valid as long as the tensor's bytes live.
    ///
    /// Nil unless the format is float32, the row order plain and the address a multiple of 4.
    public var float32Pointer: UnsafePointer<Float>? {
        guard format == .float32, rowOrder == .plain, let start = bytes.unsafeBytes.baseAddress,
            Int(bitPattern: start) % MemoryLayout<Float>.alignment == 0
        else { return nil }
        return start.assumingMemoryBound(to: Float.self)
    }

    /// The float32 numbers of one row where they lie; nil when `float32Pointer` is.
    public func pointer(row: Int) -> UnsafePointer<Float>? {
        precondition(row >= 0 && row < rows, "row \(row) of tensor \(name) asked for, which has \(rows)")
        return float32Pointer.map { $0 + row * columns }
    }
}
