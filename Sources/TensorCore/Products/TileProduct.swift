import CKernels

/// Products in bfloat16 on tile registers: the other side of the seam in `Product.swift`.
///
/// Activations are packed once for all products over them, unless they lie as tiles do. A thread packs a panel of the weight for itself and runs the
/// rows over it. Sums run along the whole depth in one order, so that no cut changes a bit.
extension Compute {
    /// Walks over the tiles of `x · weightᵀ + term` for weights of one shape; see `forEachTile(of:over:_:)`.
    func forEachPackedTile(
        of projections: [Projection], over x: Tensor, on tiles: TileUnit,
        _ body: (Range<Int>, Range<Int>, _ fill: (Int, UnsafeMutablePointer<Float>, Int) -> Void) -> Void
    ) {
        let left = tileRows(x)
        let products = projections.map { projection in
            let factor = TileFactor(left: left, depth: x.columns) {
                self.packRight(projection.weight, rows: $0, into: $1)
            }
            return [factor] + factors(of: projection.term)
        }
        let items = TileGrid.items(
            rows: x.rows, columns: projections[0].weight.rows, depth: x.columns, threads: threads.threadCount)
        threads.run(tiles: items.count) { item in
            let (rows, columns) = items[item]
            withOperands(of: products, columns: columns) { operands in
                // Results that meet share the cache.
                for rows in TileGrid.heights(of: rows, at: 256 / projections.count) {
                    body(rows, columns) { index, target, stride in
                        multiply(
                            operands[index], rows: rows, columns: columns, into: target, stride: stride,
                            accumulate: false, on: tiles)
                        projections[index].epilogue?(rows, columns, target, stride)
                    }
                }
            }
        }
    }

    // MARK: Operands

    /// Packs a part of a weight as a right operand whose depth is the rows.
    func packColumns(
        _ weight: Weight, rows: Range<Int>, columns: Range<Int>, into target: UnsafeMutablePointer<UInt16>, step: Int
    ) {
        for start in stride(from: rows.lowerBound, to: rows.upperBound, by: TilePack.depth) {
            let block = start..<min(rows.upperBound, start + TilePack.depth)
            let target = target + (start - rows.lowerBound) / TilePack.depth * TilePack.elements
            forEachBlock(of: weight, rows: block, columns: columns) { source, part in
                source.packRight(
                    columns: part.count, depth: block.count,
                    into: target + (part.lowerBound - columns.lowerBound) / TilePack.side * step, step: step)
            }
        }
    }

    /// Packs rows of a weight as columns of a right operand.
    func packRight(_ weight: Weight, rows: Range<Int>, into target: UnsafeMutablePointer<UInt16>) {
        let step = TilePack.step(depth: weight.columns)
        for start in stride(from: rows.lowerBound, to: rows.upperBound, by: TilePack.side) {
            let block = start..<min(rows.upperBound, start + TilePack.side)
            forEachBlock(of: weight, rows: block, columns: 0..<weight.columns) { source, columns in
                source.transposed.packRight(
                    columns: block.count, depth: columns.count,
                    into: target + (start - rows.lowerBound) / TilePack.side * step + columns.lowerBound
                        / TilePack.depth
                        * TilePack.elements, step: step)
            }
        }
    }

    /// Calls `body` with rows of a weight, a part of their columns at a time: as they lie if they are 16 or 32 bits
    /// wide, else expanded into scratch that stays in cache.
    func forEachBlock(
        of weight: Weight, rows: Range<Int>, columns: Range<Int>, _ body: (TileSource, Range<Int>) -> Void
    ) {
        let at = rows.lowerBound * weight.columns + columns.lowerBound
        if let start = weight.bfloat16Pointer {
            return body(TileSource(bfloat16: start + at, stride: weight.columns), columns)
        }
        if let start = weight.float32Pointer {
            return body(TileSource(MatrixPointer(start + at, stride: weight.columns)), columns)
        }
        // A multiple of every format's block.
        let most = 1024
        withScratch(rows.count * min(most, columns.count)) { scratch in
            for first in stride(from: columns.lowerBound, to: columns.upperBound, by: most) {
                let part = first..<min(columns.upperBound, first + most)
                if let matrix = weight.fourBitMatrix {
                    scratch.withMemoryRebound(to: UInt16.self, capacity: rows.count * part.count) { target in
                        matrix.expand(rows: rows, columns: part, of: weight.columns, into: target)
                        body(TileSource(bfloat16: target, stride: part.count), part)
                    }
                } else {
                    weight.expand(rows: rows, columns: part, precision: .float32, into: scratch)
                    body(TileSource(MatrixPointer(scratch, stride: part.count)), part)
                }
            }
        }
    }
}
