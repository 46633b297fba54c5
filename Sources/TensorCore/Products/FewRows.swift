import CKernels

/// Products of a few rows, as decoding has them: every weight is read once and nothing of it is written back to memory.
extension Compute {
    /// Fewer rows than this go through dot products.
    static let fewRows = 8
    /// Numbers of a weight that a thread takes at a time: at least those that are worth handing out, and no more than the
    /// threads may differ by at the end, unless that makes fewer than two parts for each thread. Between these the longest
    /// parts are the best: at the beginning of each, memory has to be asked anew.
    private static let fewestNumbers = 1 << 14, mostNumbers = 1 << 19

    /// `y[rows, outputs] = x[rows, inputs] · weightᵀ` of every projection: the threads start once for all of them.
    func fewRowsProducts(_ x: Tensor, _ projections: [Projection], type: ElementType) -> [Tensor] {
        let results = projections.map { empty(x.shape(columns: $0.weight.rows)) }
        var outputs = 0
        let jobs = projections.indices.map { index in
            let projection = projections[index]
            precondition(
                projection.weight.columns == x.columns,
                "product of \(x.shape) with transposed [\(projection.weight.rows), \(projection.weight.columns)]")
            let job = FewRowsJob(projection, outputs, results[index])
            outputs = job.outputs.upperBound
            return job
        }
        withOperand(x, 0..<x.rows) { operand in
            withDotOperand(x.rows, operand, x.columns, isSplit: jobs.contains(where: \.source.isInPairs)) { operand in
                forEachPart(of: outputs, inputs: x.columns) { part in
                    for (index, job) in jobs.enumerated() {
                        let columns = job.columns(part)
                        if columns.isEmpty { continue }
                        let (target, stride) = (job.target + columns.lowerBound, job.outputs.count)
                        dots(operand, job.source, projections[index].weight, columns, into: target, stride: stride)
                        if job.isBare { continue }
                        projections[index].epilogue?(0..<x.rows, columns, target, stride)
                        projections[index].term?.addDots(columns, to: target, stride: stride, on: self)
                    }
                }
            }
        }
        return type == .float32 ? results : results.map { converted($0, to: type) }
    }

    /// Calls `body` for parts of the outputs on all threads. A number of the result is one dot product: it does not
    /// depend on the cut.
    private func forEachPart(of outputs: Int, inputs: Int, _ body: (Range<Int>) -> Void) {
        let numbers = outputs * inputs
        let parts = max(
            1, min(numbers / Self.fewestNumbers, max(2 * threads.threadCount, numbers / Self.mostNumbers)))
        func start(_ part: Int) -> Int { part == parts ? outputs : outputs * part / parts / 16 * 16 }
        threads.run(tiles: parts) { body(start($0)..<start($0 + 1)) }
    }

    /// `target[r, c] = x[r] · weight[rows[c]]` for `count` rows of `x`, or added to the target.
    func dots(
        _ count: Int, _ x: MatrixPointer, _ weight: Weight, _ rows: Range<Int>, accumulate: Bool,
        into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        let source = DotSource(weight)
        withDotOperand(count, x, weight.columns, isSplit: source.isInPairs) { operand in
            dots(operand, source, weight, rows, accumulate: accumulate, into: target, stride: stride)
        }
    }

    private func dots(
        _ x: DotOperand, _ source: DotSource, _ weight: @autoclosure () -> Weight, _ rows: Range<Int>,
        accumulate: Bool = false, into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        let (count, columns, add) = (Int64(x.rows), Int64(x.columns), Int32(accumulate ? 1 : 0))
        let (values, step) = (x.matrix.start, Int64(x.matrix.stride))
        let isRounded: Int32 = roundsToBfloat16 ? 1 : 0
        switch source {
        case .inPlace(let weight, let kernel):
            weight.forEachRun(of: rows) { part, start, bytes in
                kernel(
                    count, Int64(part.count), columns, values, step, start, Int64(bytes), isRounded, add,
                    target + part.lowerBound - rows.lowerBound, Int64(stride))
            }
        case .fourBit(let weight):
            martlet_dot_rows_four_bit(
                weight, count, Int64(rows.lowerBound), Int64(rows.count), columns, x.even, x.odd,
                isRounded, add, target, Int64(stride))
        case .expanded:
            expandedRows(of: weight(), rows) { weights, part in
                martlet_dot_rows_f32(
                    count, Int64(part.count), columns, values, step, weights, 4 * columns, 0, add,
                    target + part.lowerBound - rows.lowerBound, Int64(stride))
            }
        }
    }

    /// Calls `body` with the rows of activations; for weights whose numbers lie in pairs they are split as those are.
    private func withDotOperand(
        _ rows: Int, _ x: MatrixPointer, _ columns: Int, isSplit: Bool, _ body: (DotOperand) -> Void
    ) {
        guard isSplit else { return body(DotOperand(rows: rows, columns: columns, matrix: x, even: nil, odd: nil)) }
        let half = columns / 2
        withScratch(rows * columns) { even in
            let odd = even + rows * half
            for row in 0..<rows {
                martlet_split_pairs(Int64(half), x.start + row * x.stride, even + row * half, odd + row * half)
            }
            body(DotOperand(rows: rows, columns: columns, matrix: x, even: even, odd: odd))
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
                weight.expand(rows: part, precision: operandPrecision, into: scratch)
                body(scratch, part)
            }
        }
    }
}

/// Rows of activations as dot products read them.
private struct DotOperand {
    let rows, columns: Int
    let matrix: MatrixPointer
    /// The elements of even and of odd columns, `[rows, columns / 2]`, where a weight wants them.
    let even, odd: UnsafePointer<Float>?
}

/// One product among those that the threads start for. Like what it is made of it holds no reference: threads that
/// count references to the same object wait for each other.
private struct FewRowsJob {
    let source: DotSource
    /// Its outputs among those of all products.
    let outputs: Range<Int>
    /// The first of its results.
    let target: UnsafeMutablePointer<Float>
    /// Whether dot products are all there is to do.
    let isBare: Bool

    init(_ projection: Projection, _ first: Int, _ result: Tensor) {
        (source, target) = (DotSource(projection.weight), result.output)
        (outputs, isBare) = (first..<first + result.columns, projection.epilogue == nil && projection.term == nil)
    }

    /// Those of its outputs that lie in a part of all outputs.
    func columns(_ part: Range<Int>) -> Range<Int> {
        let own = part.clamped(to: outputs)
        return own.lowerBound - outputs.lowerBound..<own.upperBound - outputs.lowerBound
    }
}

/// A weight as dot products read it, looked up once for all parts of its rows; valid as long as the weight lives.
private enum DotSource {
    /// Rows of blocks where they lie, and the kernel for them.
    case inPlace(RowsInPlace, StoredFormat.DotKernel)
    case fourBit(UnsafePointer<martlet_four_bit>)
    /// Expanded a few rows at a time.
    case expanded

    /// The fastest way to read the weight.
    init(_ weight: Weight) {
        if let rows = weight.rowsInPlace {
            self = .inPlace(rows, rows.format.dotKernel)
        } else if let matrix = weight.fourBitMatrix, matrix.blockSize % 32 == 0,
            weight.columns % matrix.blockSize == 0
        {
            self = .fourBit(matrix.kernelView)
        } else {
            self = .expanded
        }
    }

    /// Whether it wants activations split into even and odd columns.
    var isInPairs: Bool { if case .fourBit = self { true } else { false } }
}
