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
        switch contents {
        case .fourBit(let matrix):
            matrix.expand(rows.lowerBound * columns..<rows.upperBound * columns, into: target)
        case .microscaled(let matrix):
            let blocks = columns / MicroscaledMatrix.blockSize
            matrix.expand(blocks: rows.lowerBound * blocks..<rows.upperBound * blocks, into: target)
        case .assembled(let assembly): assembly.expand(rows: rows, columns: 0..<columns, into: target)
        case .rows(let format, let bytes, let order):
            bytes.withUnsafeBytes { stored in
                guard let start = stored.baseAddress else { return }
                if isReorderedVector { return expandReorderedVector(format, start, order, into: target) }
                expand(rows, format, start, order, into: target)
            }
        }
    }

    /// Elements on whose multiples a range of columns should begin and end, so that nothing beside it is expanded.
    package var columnBlock: Int {
        switch contents {
        case .rows(let format, _, _): format.blockElements
        case .fourBit: 2
        case .microscaled: MicroscaledMatrix.blockSize
        case .assembled: 1
        }
    }

    /// Writes some columns of `rows` as float32, `[rows.count, columns.count]`; else like ``expand(rows:into:)``.
    package func expand(rows: Range<Int>, columns part: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        if part == 0..<columns { return expand(rows: rows, into: target) }
        precondition(part.lowerBound >= 0 && part.upperBound <= columns, "columns \(part) of tensor \(name), which has \(columns)")
        let size = columnBlock
        guard part.lowerBound % size == 0, part.upperBound % size == 0, !isReorderedVector else {
            return expandWholeRows(rows, part, into: target)
        }
        // Rows are many: what is the same for all is looked up once.
        let blocks = part.count / size
        switch contents {
        case .assembled(let assembly): assembly.expand(rows: rows, columns: part, into: target)
        case .fourBit(let matrix):
            matrix.expand(rows: rows, columns: part, of: columns, into: target)
        case .microscaled(let matrix):
            for (index, row) in rows.enumerated() {
                let first = (row * columns + part.lowerBound) / size
                matrix.expand(blocks: first..<first + blocks, into: target + index * part.count)
            }
        case .rows(let format, let bytes, let order):
            bytes.withUnsafeBytes { stored in
                guard let start = stored.baseAddress else { return }
                for (index, row) in rows.enumerated() {
                    let block = (order.storedRow(row) * columns + part.lowerBound) / size
                    format.expand(start + block * format.blockBytes, blocks: blocks, into: target + index * part.count)
                }
            }
        }
    }

    /// Columns that begin or end inside a block.
    private func expandWholeRows(_ rows: Range<Int>, _ part: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { whole in
            guard let start = whole.baseAddress else { return }
            for (index, row) in rows.enumerated() {
                expand(rows: row..<row + 1, into: start)
                (target + index * part.count).update(from: start + part.lowerBound, count: part.count)
            }
        }
    }

    /// Whether this is one row whose elements change places.
    private var isReorderedVector: Bool {
        if case .rows(_, _, let order) = contents { order != .plain && shape.count == 1 } else { false }
    }

    private func expand(
        _ rows: Range<Int>, _ format: StoredFormat, _ start: UnsafeRawPointer, _ order: RowOrder,
        into target: UnsafeMutablePointer<Float>
    ) {
        let blocks = columns / format.blockElements
        let bytesPerRow = blocks * format.blockBytes
        if order == .plain {
            return format.expand(start + rows.lowerBound * bytesPerRow, blocks: rows.count * blocks, into: target)
        }
        for (index, row) in rows.enumerated() {
            format.expand(start + order.storedRow(row) * bytesPerRow, blocks: blocks, into: target + index * columns)
        }
    }

    /// A reordered vector is one row whose elements change places.
    private func expandReorderedVector(
        _ format: StoredFormat, _ start: UnsafeRawPointer, _ order: RowOrder, into target: UnsafeMutablePointer<Float>
    ) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { stored in
            guard let inFileOrder = stored.baseAddress else { return }
            format.expand(start, blocks: columns / format.blockElements, into: inFileOrder)
            for element in 0..<columns { target[element] = inFileOrder[order.storedRow(element)] }
        }
    }

    /// The whole tensor as float32, `[rows, columns]`: for norms, biases and tests; 4 bytes per element.
    public func expandAll() -> [Float] {
        [Float](unsafeUninitializedCapacity: elementCount) { buffer, count in
            if let target = buffer.baseAddress { expand(rows: 0..<rows, into: target) }
            count = elementCount
        }
    }

    /// The float32 numbers where they lie, `[rows, columns]`, valid as long as the tensor's bytes live.
    ///
    /// Nil unless the format is float32, the row order plain and the address a multiple of 4.
    public var float32Pointer: UnsafePointer<Float>? { pointer(to: .float32) }

    /// The bits of bfloat16 numbers where they lie, under the same conditions.
    package var bfloat16Pointer: UnsafePointer<UInt16>? { pointer(to: .bfloat16) }

    /// The rows where they lie, valid as long as the tensor's bytes live, if each is blocks of a format.
    var rowsInPlace: RowsInPlace? {
        guard case .rows(let format, let bytes, let order) = contents, !isReorderedVector,
            let start = bytes.unsafeBytes.baseAddress
        else { return nil }
        let bytesPerRow = columns / format.blockElements * format.blockBytes
        return RowsInPlace(format: format, start: start, bytesPerRow: bytesPerRow, order: order)
    }

    private func pointer<Element>(to wanted: StoredFormat) -> UnsafePointer<Element>? {
        guard case .rows(wanted, let bytes, .plain) = contents, let start = bytes.unsafeBytes.baseAddress,
            Int(bitPattern: start) % MemoryLayout<Element>.alignment == 0
        else { return nil }
        return start.assumingMemoryBound(to: Element.self)
    }
}
