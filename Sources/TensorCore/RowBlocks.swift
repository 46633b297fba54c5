import CKernels

/// Row blocks: how elementwise operations walk over tensors of either element type.
///
/// Kernels see float32 rows. A float32 tensor is handed over as it lies; rows of a bfloat16 tensor are widened into
/// scratch, or written to scratch and rounded.
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
        if tensor.elementType == .float32 { return body(tensor.floats + rows.lowerBound * columns) }
        withScratch(rows.count * columns) { scratch in
            martlet_from_bfloat16(Int64(rows.count * columns), tensor.bfloats + rows.lowerBound * columns, scratch)
            body(scratch)
        }
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

    /// Scratch memory of the buffer pool for the time of `body`.
    package func withScratch<R>(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> R) -> R {
        let pointer = buffers.take(count * 4)
        defer { buffers.give(pointer, count * 4) }
        return body(pointer.assumingMemoryBound(to: Float.self))
    }
}
