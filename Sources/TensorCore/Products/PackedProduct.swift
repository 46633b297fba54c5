import CKernels

/// Products over packed operands: the other side of the seam in `Product.swift`.
///
/// A thread packs a panel of the weight for itself and runs the rows over it. For tiles activations are packed once for all
/// products over them, unless they lie as tiles do; vectors read them where they lie. No cut changes a bit: a number's sum
/// runs along the depth in an order of its own.
extension Compute {
    /// Walks over the tiles of `x · weightᵀ + term` for weights of one shape; see `forEachTile(of:over:cutFor:_:)`.
    func forEachPackedTile(
        of projections: [Projection], over x: Tensor, on unit: ProductUnit, cutFor threads: Int,
        _ body: (Range<Int>, Range<Int>, _ fill: (Int, UnsafeMutablePointer<Float>, Int) -> Void) -> Void
    ) {
        let products = factors(of: projections, over: x, on: unit)
        let items = TileGrid.items(
            rows: x.rows, columns: projections[0].weight.rows, depth: x.columns, on: unit,
            threads: threads)
        self.threads.run(tiles: items.count) { item in
            let (rows, columns) = items[item]
            withPacked(products, columns: columns) { packed in
                // Results that meet share the cache.
                for rows in TileGrid.heights(of: rows, at: unit.tileHeight / projections.count) {
                    body(rows, columns) { index, target, stride in
                        multiply(
                            packed[index], rows: rows, columns: columns, into: target, stride: stride,
                            accumulate: false, on: unit)
                        projections[index].epilogue?(rows, columns, target, stride)
                    }
                }
            }
        }
    }

    private func factors(of projections: [Projection], over x: Tensor, on unit: ProductUnit) -> [[Factor]] {
        let rows: Factor.Rows =
            switch unit {
            case .tiles: .tiles(tileRows(x))
            case .strips(let form): .matrix(x, form)
            }
        return projections.map { projection in
            let weight = projection.weight
            let factor = Factor(rows: rows, depth: x.columns) { columns, target in
                switch unit {
                case .tiles: self.packRight(weight, rows: columns, into: target.tiles)
                case .strips(let form):
                    self.packStripsOfRows(weight, adding: projection.update, rows: columns, as: form, into: target)
                }
            }
            return [factor] + factors(of: projection.term, on: unit)
        }
    }

    // MARK: Operands

    /// Packs a part of a weight as a right operand whose depth is the rows.
    func packColumns(
        _ weight: Weight, rows: Range<Int>, columns: Range<Int>, into target: UnsafeMutablePointer<UInt16>, step: Int
    ) {
        forEachBlock(of: weight, rows: rows, height: TilePack.depth, columns: columns) { source, block, part in
            let at = (block.lowerBound - rows.lowerBound) / TilePack.depth * TilePack.elements
            source.packRight(
                columns: part.count, depth: block.count,
                into: target + at + (part.lowerBound - columns.lowerBound) / TilePack.side * step, step: step)
        }
    }

    /// Packs rows of a weight as columns of a right operand.
    func packRight(_ weight: Weight, rows: Range<Int>, into target: UnsafeMutablePointer<UInt16>) {
        let (width, step) = (weight.columns, TilePack.step(depth: weight.columns))
        forEachBlock(of: weight, rows: rows, height: TilePack.side, columns: 0..<width) { source, block, part in
            let at = (block.lowerBound - rows.lowerBound) / TilePack.side * step
            source.transposed.packRight(
                columns: block.count, depth: part.count,
                into: target + at + part.lowerBound / TilePack.depth * TilePack.elements, step: step)
        }
    }

    /// Calls `body` with rows of a weight and a part of their columns: as they lie if they are 16 or 32 bits wide, else
    /// `height` rows at a time, expanded into scratch that stays in cache.
    private func forEachBlock(
        of weight: Weight, rows: Range<Int>, height: Int, columns: Range<Int>,
        _ body: (TileSource, _ rows: Range<Int>, _ columns: Range<Int>) -> Void
    ) {
        let (width, at) = (weight.columns, rows.lowerBound * weight.columns + columns.lowerBound)
        if let start = weight.bfloat16Pointer {
            body(TileSource(bfloat16: start + at, stride: width), rows, columns)
        } else if let start = weight.float32Pointer {
            body(TileSource(MatrixPointer(start + at, stride: width)), rows, columns)
        } else {
            forEachExpandedBlock(of: weight, TileGrid.heights(of: rows, at: height), columns, body)
        }
    }

    private func forEachExpandedBlock(
        of weight: Weight, _ heights: [Range<Int>], _ columns: Range<Int>,
        _ body: (TileSource, _ rows: Range<Int>, _ columns: Range<Int>) -> Void
    ) {
        // A multiple of every format's block.
        let widths = TileGrid.heights(of: columns, at: 1024)
        let (width, matrix) = (weight.columns, weight.fourBitMatrix)
        withScratch((heights.first?.count ?? 0) * (widths.first?.count ?? 0)) { scratch in
            for rows in heights {
                for part in widths {
                    if let matrix {
                        let target = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: UInt16.self)
                        matrix.expand(rows: rows, columns: part, of: width, into: target)
                        body(TileSource(bfloat16: target, stride: part.count), rows, part)
                    } else {
                        weight.expand(rows: rows, columns: part, precision: .float32, into: scratch)
                        body(TileSource(MatrixPointer(scratch, stride: part.count)), rows, part)
                    }
                }
            }
        }
    }
}
