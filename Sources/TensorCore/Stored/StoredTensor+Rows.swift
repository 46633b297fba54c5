extension StoredTensor {
    /// On whose multiples of elements rows can be taken out; `nil` where the form does not let that be done.
    var sliceStep: Int? {
        switch contents {
        case .rows(_, _, .plain): 1
        case .fourBit(let matrix): matrix.sliceStep
        case .rows, .microscaled, .assembled: nil
        }
    }

    /// Some rows as a matrix of their own, not copied; `nil` where the form does not let these rows be taken out.
    func rowSlice(_ range: Range<Int>) -> StoredTensor? {
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
    /// On whose multiples slices begin: a block's numbers, or those of a group of scales.
    fileprivate var sliceStep: Int {
        if case .double(_, _, _, let size, _) = scales { blockSize * size } else { blockSize }
    }

    /// Some of the numbers, not copied; `nil` unless they begin on a multiple of ``sliceStep``.
    fileprivate func slice(_ range: Range<Int>) -> FourBitMatrix? {
        guard range.lowerBound % sliceStep == 0 else { return nil }
        let codes = codes[range.lowerBound / 2..<(range.upperBound + 1) / 2]
        let (first, last) = (range.lowerBound / blockSize, (range.upperBound + blockSize - 1) / blockSize)
        let part: Scales
        switch scales {
        case .single(let bytes): part = .single(bytes[4 * first..<4 * last])
        case .double(let bytes, let table, let groups, let size, let offset):
            part = .double(
                codes: bytes[first..<last], table: table, groups: Array(groups[first / size..<(last + size - 1) / size]),
                groupSize: size, offset: offset)
        }
        return try? FourBitMatrix(count: range.count, codes: codes, table: self.table, blockSize: blockSize, scales: part)
    }
}
