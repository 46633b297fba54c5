import CKernels

/// Products of a few rows, as decoding has them: every weight is read once and nothing of it is written back to memory.
extension Compute {
    /// Fewer rows than this go through dot products.
    static let fewRows = 8

    /// `y[rows, outputs] = x[rows, inputs] · weightᵀ`.
    func fewRowsProduct(
        _ x: Tensor, _ weight: Weight, plus term: ThinTerm?, into y: Tensor, _ epilogue: Epilogue?
    ) {
        let x = rounded(x)
        let (rows, inputs, outputs) = (x.rows, weight.columns, weight.rows)
        let operand = MatrixPointer(x.floats, stride: inputs)
        // A number of the result is one dot product: it does not depend on the cut.
        let size = max(16, (outputs / (4 * threads.threadCount) + 15) / 16 * 16)
        DotSource.with(weight, precision) { source in
            threads.run(tiles: (outputs + size - 1) / size) { part in
                let columns = part * size..<min(outputs, (part + 1) * size)
                withResult(y, 0..<rows, columns) { target, stride in
                    dots(rows, operand, source, columns, inputs: inputs, into: target, stride: stride)
                    epilogue?(0..<rows, columns, target, stride)
                    term?.add(0..<rows, columns, to: target, stride: stride)
                }
            }
        }
    }

    /// `target[r, c] = x[r] · weight[rows[c]]` for `count` rows of `x`, or added to the target.
    func dots(
        _ count: Int, _ x: MatrixPointer, _ weight: Weight, _ rows: Range<Int>, accumulate: Bool,
        into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        DotSource.with(weight, precision) {
            dots(count, x, $0, rows, inputs: weight.columns, accumulate: accumulate, into: target, stride: stride)
        }
    }

    private func dots(
        _ rowCount: Int, _ x: MatrixPointer, _ source: DotSource, _ rows: Range<Int>, inputs: Int,
        accumulate: Bool = false, into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        let (count, columns, add) = (Int64(rowCount), Int64(inputs), Int32(accumulate ? 1 : 0))
        switch source {
        case .float32(let weight):
            martlet_dot_rows(
                count, Int64(rows.count), columns, x.start, Int64(x.stride), weight + rows.lowerBound * inputs, add, target,
                Int64(stride))
        case .bfloat16(let weight):
            martlet_dot_rows_bfloat16(
                count, Int64(rows.count), columns, x.start, Int64(x.stride), weight + rows.lowerBound * inputs, add, target,
                Int64(stride))
        case .fourBit(let weight):
            withEvenAndOdd(rowCount, x, inputs) { even, odd in
                martlet_dot_rows_four_bit(
                    weight, count, Int64(rows.lowerBound), Int64(rows.count), columns, even, odd,
                    precision == .bfloat16 ? 1 : 0, add, target, Int64(stride))
            }
        case .expanded(let weight):
            expandedRows(of: weight, rows) { values, part in
                martlet_dot_rows(
                    count, Int64(part.count), columns, x.start, Int64(x.stride), values, add,
                    target + part.lowerBound - rows.lowerBound, Int64(stride))
            }
        }
    }

    /// Numbers in 4 bits lie in pairs: the vector is split as they are.
    private func withEvenAndOdd(
        _ count: Int, _ x: MatrixPointer, _ columns: Int, _ body: (UnsafePointer<Float>, UnsafePointer<Float>) -> Void
    ) {
        let half = columns / 2
        withScratch(count * columns) { even in
            let odd = even + count * half
            for row in 0..<count {
                martlet_split_pairs(Int64(half), x.start + row * x.stride, even + row * half, odd + row * half)
            }
            body(even, odd)
        }
    }

    /// Numbers that are expanded at a time: 32 KB, which stay in the nearest cache.
    private static let expandedNumbers = 1 << 13

    private func expandedRows(
        of weight: Weight, _ rows: Range<Int>, _ body: (UnsafePointer<Float>, Range<Int>) -> Void
    ) {
        let block = weight.rowBlock
        let step = max(1, Self.expandedNumbers / max(1, weight.columns * block)) * block
        withScratch(step * weight.columns) { scratch in
            for first in Swift.stride(from: rows.lowerBound, to: rows.upperBound, by: step) {
                let part = first..<min(rows.upperBound, first + step)
                weight.expand(rows: part, precision: precision, into: scratch)
                body(scratch, part)
            }
        }
    }
}

/// A weight as dot products read it. What does not change from one part of its rows to the next is looked up once:
/// threads that count references to the same weight wait for each other.
private enum DotSource {
    case float32(UnsafePointer<Float>)
    case bfloat16(UnsafePointer<UInt16>)
    case fourBit(UnsafePointer<martlet_four_bit>)
    /// Expanded a few rows at a time.
    case expanded(Weight)

    /// Calls `body` with the fastest way to read the weight; it is valid during the call.
    static func with(_ weight: Weight, _ precision: Precision, _ body: (DotSource) -> Void) {
        if let pointer = weight.bfloat16Pointer { return body(.bfloat16(pointer)) }
        if precision == .float32, let pointer = weight.float32Pointer { return body(.float32(pointer)) }
        if let matrix = weight.fourBitMatrix, matrix.blockSize % 32 == 0, weight.columns % matrix.blockSize == 0 {
            return matrix.withKernelView { body(.fourBit($0)) }
        }
        body(.expanded(weight))
    }
}
