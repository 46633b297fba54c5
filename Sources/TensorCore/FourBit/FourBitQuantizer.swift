internal import CKernels

/// Packs numbers into NF4 exactly as bitsandbytes does on a CPU: the same codes, scales and nested scales, to the bit.
public enum FourBitQuantizer {
    /// The sixteen values of NF4: quantiles of a normal distribution, scaled to ±1 (Dettmers et al., 2023).
    public static let normalTable: [Float] = [
        -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
        -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
    ]

    /// Midpoints between neighbours of ``normalTable``.
    private static let bounds = zip(normalTable, normalTable.dropFirst()).map { ($0 + $1) / 2 }

    /// Numbers that a thread packs at a time, about.
    private static let pieceElements = 1 << 16

    /// Packs a tensor; in memory are the result and a piece per thread.
    /// - Parameters:
    ///   - blockSize: numbers that share a scale: a power of two from 32 to 4096.
    ///   - doubleQuantization: whether the scales are packed too, to 8 bits.
    /// - Throws: ``FourBitProblem/notFinite(_:)`` if a number is infinite or none.
    public static func quantize(
        _ tensor: StoredTensor, blockSize: Int = 64, doubleQuantization: Bool, on compute: Compute
    ) throws(FourBitProblem) -> FourBitMatrix {
        precondition(blockSize >= 32 && blockSize <= 4096 && blockSize.nonzeroBitCount == 1, "block size \(blockSize)")
        let count = tensor.elementCount
        var maxima = [Float](repeating: 0, count: (count + blockSize - 1) / blockSize)
        let codes = maxima.withUnsafeMutableBufferPointer { maxima in
            MappedBytes(count: (count + 1) / 2) { codes in
                quantize(tensor, blockSize, codes.assumingMemoryBound(to: UInt8.self), maxima, on: compute)
            }
        }
        guard maxima.allSatisfy(\.isFinite) else { throw .notFinite(.scales) }
        return try FourBitMatrix(
            count: count, codes: codes, table: normalTable, blockSize: blockSize,
            scales: doubleQuantization ? NestedScales.quantize(maxima) : .single(maxima.withUnsafeBytes { MappedBytes(copying: $0) }))
    }

    private static func quantize(
        _ tensor: StoredTensor, _ blockSize: Int, _ codes: UnsafeMutableBufferPointer<UInt8>,
        _ maxima: UnsafeMutableBufferPointer<Float>, on compute: Compute
    ) {
        let columns = tensor.columns
        guard let codes = codes.baseAddress, let maxima = maxima.baseAddress else { return }
        // A piece is whole rows and whole blocks.
        let rowsOfBlocks = max(1, blockSize >> columns.trailingZeroBitCount)
        let pieceRows = max(1, pieceElements / max(1, columns * rowsOfBlocks)) * rowsOfBlocks
        compute.threads.run(tiles: (tensor.rows + pieceRows - 1) / pieceRows) { piece in
            let rows = piece * pieceRows..<min(tensor.rows, (piece + 1) * pieceRows)
            let (first, count) = (rows.lowerBound * columns, rows.count * columns)
            compute.withScratch(count) { values in
                tensor.expand(rows: rows, into: values)
                martlet_quantize_four_bit(values, Int64(count), Int64(blockSize), bounds, codes + first / 2, maxima + first / blockSize)
            }
        }
    }
}
