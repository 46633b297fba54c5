import CKernels

/// Packing weights in strips of columns.
extension Compute {
    /// Packs a part of a weight whose depth is the rows.
    func packStripsOfColumns(
        _ weight: Weight, adding update: WeightUpdate?, rows: Range<Int>, columns: Range<Int>, as form: StripForm,
        into target: UnsafeMutablePointer<Float>
    ) {
        let step = form.step(depth: rows.count)
        let heights = TileGrid.heights(of: rows, at: form.packedDepth)
        forEachFloatBlock(of: weight, adding: update, heights, columns, as: form) { block, height, part in
            let strips = (part.lowerBound - columns.lowerBound) / form.width * step
            form.pack(
                block, columns: part.count, depth: height.count,
                into: target + strips + form.step(depth: height.lowerBound - rows.lowerBound), step: step)
        }
    }

    /// Packs rows of a weight as columns.
    func packStripsOfRows(
        _ weight: Weight, adding update: WeightUpdate?, rows: Range<Int>, as form: StripForm,
        into target: UnsafeMutablePointer<Float>
    ) {
        let step = form.step(depth: weight.columns)
        let heights = TileGrid.heights(of: rows, at: form.width)
        forEachFloatBlock(of: weight, adding: update, heights, 0..<weight.columns, as: form) { block, part, columns in
            let strips = (part.lowerBound - rows.lowerBound) / form.width * step
            form.pack(
                block.transposed, columns: part.count, depth: columns.count,
                into: target + strips + form.step(depth: columns.lowerBound), step: step)
        }
    }

    /// Calls `body` with rows of a weight and a part of their columns at a time, as float32: where they lie, if they lie so
    /// and nothing is added to them, else in scratch that stays in cache.
    private func forEachFloatBlock(
        of weight: Weight, adding update: WeightUpdate?, _ heights: [Range<Int>], _ columns: Range<Int>,
        as form: StripForm, _ body: (MatrixPointer, _ rows: Range<Int>, _ columns: Range<Int>) -> Void
    ) {
        if update == nil, form != .rounded, let start = weight.float32Pointer {
            for rows in heights {
                let at = start + rows.lowerBound * weight.columns + columns.lowerBound
                body(MatrixPointer(at, stride: weight.columns), rows, columns)
            }
            return
        }
        // A multiple of every format's block, of a strip and of steps.
        let widths = TileGrid.heights(of: columns, at: 768)
        withScratch((heights.first?.count ?? 0) * (widths.first?.count ?? 0)) { scratch in
            for rows in heights {
                for part in widths {
                    weight.expand(rows: rows, columns: part, precision: operandPrecision, into: scratch)
                    update?.add(to: scratch, rows: rows, columns: part)
                    body(MatrixPointer(scratch, stride: part.count), rows, part)
                }
            }
        }
    }
}
