extension StoredTensor {
    /// Some rows as a matrix of their own, not copied; `nil` where the form does not let rows be taken out.
    package func rowSlice(_ range: Range<Int>) -> StoredTensor? {
        let shape = [range.count, columns]
        switch contents {
        case .rows(let format, let bytes, .plain):
            let bytesPerRow = columns / format.blockElements * format.blockBytes
            let part = bytes[range.lowerBound * bytesPerRow..<range.upperBound * bytesPerRow]
            return try? StoredTensor(name: name, shape: shape, format: format, bytes: part)
        case .fourBit(let matrix):
            guard let part = matrix.slice(range.lowerBound * columns..<range.upperBound * columns) else { return nil }
            return try? StoredTensor(name: name, shape: shape, fourBit: part)
        case .rows, .microscaled, .assembled: return nil
        }
    }
}

extension FourBitMatrix {
    /// Some of the numbers, not copied; `nil` unless they begin where a block does, and a group of scales where there are some.
    fileprivate func slice(_ range: Range<Int>) -> FourBitMatrix? {
        let codes = codes[range.lowerBound / 2..<(range.upperBound + 1) / 2]
        let (first, last) = (range.lowerBound / blockSize, (range.upperBound + blockSize - 1) / blockSize)
        guard range.lowerBound % blockSize == 0 else { return nil }
        let part: Scales
        switch scales {
        case .single(let bytes): part = .single(bytes[4 * first..<4 * last])
        case .double(let bytes, let table, let groups, let size, let offset):
            guard first % size == 0 else { return nil }
            part = .double(
                codes: bytes[first..<last], table: table, groups: Array(groups[first / size..<(last + size - 1) / size]),
                groupSize: size, offset: offset)
        }
        return try? FourBitMatrix(count: range.count, codes: codes, table: self.table, blockSize: blockSize, scales: part)
    }
}
