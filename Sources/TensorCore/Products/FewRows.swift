import CKernels

/// Products of a few rows, as decoding has them: every weight is read once and nothing of it is written back to memory.
extension Compute {
    /// Fewer rows than this go through dot products.
    static let fewRows = 8

    /// Numbers that are expanded at a time: 32 KB, which stay in the nearest cache.
    private static let expandedNumbers = 1 << 13

    /// `y[rows, outputs] = x[rows, inputs] · weightᵀ`.
    func fewRowsProduct(
        _ x: Tensor, _ weight: Weight, plus term: ThinTerm?, into y: Tensor, _ epilogue: Epilogue?
    ) {
        let x = rounded(x)
        let parts = TileGrid.pieces(weight.rows, target: 64)
        threads.run(tiles: parts.count) { part in
            withResult(y, 0..<x.rows, parts[part]) { target, stride in
                dots(x.rows, MatrixPointer(x.floats, stride: x.columns), weight, parts[part], into: target, stride: stride)
                epilogue?(0..<x.rows, parts[part], target, stride)
                term?.add(0..<x.rows, parts[part], to: target, stride: stride)
            }
        }
    }

    /// `target[r, c] = x[r] · weight[rows[c]]` for `count` rows of `x`, or added to the target.
    func dots(
        _ count: Int, _ x: MatrixPointer, _ weight: Weight, _ rows: Range<Int>, accumulate: Bool = false,
        into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        let (count, columns, add) = (Int64(count), Int64(weight.columns), Int32(accumulate ? 1 : 0))
        if let pointer = weight.bfloat16Pointer {
            let start = pointer + rows.lowerBound * weight.columns
            return martlet_dot_rows_bfloat16(
                count, Int64(rows.count), columns, x.start, Int64(x.stride), start, add, target, Int64(stride))
        }
        if let matrix = weight.fourBitMatrix, matrix.blockSize % 32 == 0, weight.columns % matrix.blockSize == 0 {
            return fourBitDots(Int(count), x, matrix, rows, weight.columns, add, into: target, stride: stride)
        }
        func dot(_ values: UnsafePointer<Float>, _ part: Range<Int>) {
            martlet_dot_rows(
                count, Int64(part.count), columns, x.start, Int64(x.stride), values, add,
                target + part.lowerBound - rows.lowerBound, Int64(stride))
        }
        if precision == .float32, let pointer = weight.float32Pointer {
            return dot(pointer + rows.lowerBound * weight.columns, rows)
        }
        let block = weight.rowBlock
        let step = max(1, Self.expandedNumbers / max(1, weight.columns * block)) * block
        withScratch(step * weight.columns) { scratch in
            for first in Swift.stride(from: rows.lowerBound, to: rows.upperBound, by: step) {
                let part = first..<min(rows.upperBound, first + step)
                weight.expand(rows: part, precision: precision, into: scratch)
                dot(scratch, part)
            }
        }
    }

    /// The same over numbers in 4 bits, which go from the file's bytes straight into the products.
    private func fourBitDots(
        _ count: Int, _ x: MatrixPointer, _ matrix: FourBitMatrix, _ rows: Range<Int>, _ columns: Int, _ accumulate: Int32,
        into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        let half = columns / 2
        withScratch(count * columns) { even in
            let odd = even + count * half
            for row in 0..<count {
                martlet_split_pairs(Int64(half), x.start + row * x.stride, even + row * half, odd + row * half)
            }
            matrix.withKernelView { view in
                martlet_dot_rows_four_bit(
                    view, Int64(count), Int64(rows.lowerBound), Int64(rows.count), Int64(columns), even, odd,
                    precision == .bfloat16 ? 1 : 0, accumulate, target, Int64(stride))
            }
        }
    }
}
