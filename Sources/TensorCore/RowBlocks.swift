import CKernels

/// Row blocks: how elementwise operations walk over tensors of either element type.
///
/// Kernels see float32 rows. A dense float32 tensor is handed over as it lies; rows of views are gathered and those of
/// bfloat16 tensors widened into scratch, or written to scratch and rounded.
extension Compute {
    /// Runs `body` for consecutive blocks of rows on all threads. Block sizes depend on the shape only.
    package func forEachRowBlock(of rows: Int, rowElements: Int, _ body: (Range<Int>) -> Void) {
        // Multiples of four: kernels work on four rows at a time.
        let block = max(4, min(64, 16384 / max(1, rowElements) / 4 * 4))
        threads.run(tiles: (rows + block - 1) / block) { tile in
            body(tile * block..<min(rows, (tile + 1) * block))
        }
    }

    /// Calls `body` with the rows as float32, `[rows.count, columns]`.
    package func readRows(_ tensor: Tensor, _ rows: Range<Int>, _ body: (UnsafePointer<Float>) -> Void) {
        let columns = tensor.columns
        if tensor.elementType == .float32 && tensor.isDense { return body(tensor.floats + rows.lowerBound * columns) }
        withScratch(rows.count * columns) { scratch in
            copyRows(tensor, rows, to: scratch)
            body(scratch)
        }
    }

    /// Writes the rows as float32, `[rows.count, columns]`.
    func copyRows(_ tensor: Tensor, _ rows: Range<Int>, to target: UnsafeMutablePointer<Float>) {
        forEachRun(of: tensor, rows) { at, to, count in
            switch tensor.elementType {
            case .float32: (target + to).update(from: tensor.floatRows + at, count: count)
            case .bfloat16: martlet_from_bfloat16(Int64(count), tensor.bfloatRows + at, target + to)
            }
        }
    }

    /// Writes the rows as bfloat16, `[rows.count, columns]`.
    func copyRows(_ tensor: Tensor, _ rows: Range<Int>, to target: UnsafeMutablePointer<UInt16>) {
        forEachRun(of: tensor, rows) { at, to, count in
            switch tensor.elementType {
            case .float32: martlet_to_bfloat16(Int64(count), tensor.floatRows + at, target + to)
            case .bfloat16: (target + to).update(from: tensor.bfloatRows + at, count: count)
            }
        }
    }

    /// Writes the rows into those of a dense tensor of the same shape, in its element type.
    package func copyRows(_ tensor: Tensor, _ rows: Range<Int>, to target: Tensor) {
        let start = rows.lowerBound * target.columns
        switch target.elementType {
        case .float32: copyRows(tensor, rows, to: target.output + start)
        case .bfloat16: copyRows(tensor, rows, to: target.bfloatOutput + start)
        }
    }

    /// A dense tensor is one run of elements, a view as many as it has rows.
    private func forEachRun(of tensor: Tensor, _ rows: Range<Int>, _ body: (_ at: Int, _ to: Int, _ count: Int) -> Void) {
        let columns = tensor.columns
        if tensor.isDense { return body(rows.lowerBound * columns, 0, rows.count * columns) }
        for (index, row) in rows.enumerated() { body(row * tensor.rowStride, index * columns, columns) }
    }

    /// Calls `body` with memory for the rows as float32 and stores what it leaves there.
    package func writeRows(_ tensor: Tensor, _ rows: Range<Int>, _ body: (UnsafeMutablePointer<Float>) -> Void) {
        let columns = tensor.columns
        if tensor.elementType == .float32 { return body(tensor.output + rows.lowerBound * columns) }
        withScratch(rows.count * columns) { scratch in
            body(scratch)
            martlet_to_bfloat16(Int64(rows.count * columns), scratch, tensor.bfloatOutput + rows.lowerBound * columns)
        }
    }

    /// Calls `body` with memory for some columns of the rows as float32, `[rows.count, columns.count]`, and stores what it
    /// leaves there.
    package func writeRows(
        _ tensor: Tensor, _ rows: Range<Int>, columns: Range<Int>, _ body: (UnsafeMutablePointer<Float>) -> Void
    ) {
        let width = columns.count
        withScratch(rows.count * width) { scratch in
            body(scratch)
            for (index, row) in rows.enumerated() {
                let (source, at) = (scratch + index * width, row * tensor.columns + columns.lowerBound)
                switch tensor.elementType {
                case .float32: (tensor.output + at).update(from: source, count: width)
                case .bfloat16: martlet_to_bfloat16(Int64(width), source, tensor.bfloatOutput + at)
                }
            }
        }
    }

    /// Memory for the time of `body`: up to 2 MB from what the calling thread has used before.
    package func withScratch<R>(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> R) -> R {
        buffers.withScratch(count * 4) { body($0.assumingMemoryBound(to: Float.self)) }
    }
}
