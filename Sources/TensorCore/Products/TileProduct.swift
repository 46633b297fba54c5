import CKernels

/// Products in bfloat16 on tile registers: the other side of the seam in `Product.swift`.
///
/// Activations are packed once per product. Weights are walked in panels: all threads expand and pack a panel, and then
/// all rows run over it, tile by tile. Sums run along the whole depth in one order, so that no cut changes a bit.
extension Compute {
    /// `y = x · weightᵀ + term`, `[rows, outputs]`.
    func tileProduct(
        _ x: Tensor, transposed weight: Weight, plus term: ThinTerm?, into y: Tensor, on tiles: TileUnit,
        _ epilogue: Epilogue?
    ) {
        let (left, thin) = (packedRows(x), term.map(packedLeft))
        let step = left.step
        for panel in TileGrid.tilePanels(rows: weight.rows, columns: weight.columns) {
            let operand = packed(panel.count, depth: weight.columns) { within, target in
                packRight(
                    weight, rows: panel.lowerBound + within.lowerBound..<panel.lowerBound + within.upperBound,
                    into: target)
            }
            let thinRight = term.map { packedRight($0, columns: panel) }
            forEachTile(TileGrid.tiles(rows: x.rows, columns: panel.count, widest: 256)) { rows, within in
                let columns = panel.lowerBound + within.lowerBound..<panel.lowerBound + within.upperBound
                withResult(y, rows, columns) { target, stride in
                    var product = martlet_tile_product(rows: rows, columns: columns, into: target, stride: stride)
                    product.operands.0 = martlet_tile_operands(
                        left: left.start(row: rows.lowerBound),
                        right: operand.bfloats + within.lowerBound / TilePack.side * step,
                        left_step: Int64(step), right_step: Int64(step), depth: Int64(TilePack.depthBlocks(x.columns)))
                    product.add(thin, thinRight, row: rows.lowerBound, column: within.lowerBound)
                    tiles.multiply(&product)
                    epilogue?(rows, columns, target, stride)
                }
            }
        }
    }

    /// `dx = dy · weight + term`, `[rows, inputs]`.
    func tileProduct(
        _ dy: Tensor, _ weight: Weight, plus term: ThinTerm?, type: ElementType, on tiles: TileUnit,
        _ epilogue: Epilogue?
    ) -> Tensor {
        let (width, panels) = (weight.columns, TileGrid.tilePanels(rows: weight.rows, columns: weight.columns))
        // Sums over several panels stay in float32 between them.
        let result = empty(dy.shape.dropLast() + [width], panels.count > 1 ? .float32 : type)
        let (thin, thinRight) = (term.map(packedLeft), term.map { packedRight($0, columns: 0..<width) })
        let whole =
            dy.count > TileGrid.mostPackedElements ? recentlyPackedRows(dy, offsets: [0, dy.rows]) : packedRows(dy)
        for panel in panels {
            let left =
                whole
                ?? packRows(offsets: [0, dy.rows], depth: panel.count) {
                    TileSource(dy, row: $0, column: panel.lowerBound)
                }
            let operand = packedColumns(weight, rows: panel)
            let step = TilePack.step(depth: panel.count)
            forEachTile(TileGrid.tiles(rows: dy.rows, columns: width, widest: 256)) { rows, columns in
                withResult(result, rows, columns) { target, stride in
                    var product = martlet_tile_product(rows: rows, columns: columns, into: target, stride: stride)
                    product.accumulate = panel.lowerBound > 0 ? 1 : 0
                    product.operands.0 = martlet_tile_operands(
                        left: left.start(row: rows.lowerBound, column: whole == nil ? 0 : panel.lowerBound),
                        right: operand.bfloats + columns.lowerBound / TilePack.side * step, left_step: Int64(left.step),
                        right_step: Int64(step), depth: Int64(TilePack.depthBlocks(panel.count)))
                    let isLast = panel.upperBound == weight.rows
                    if isLast { product.add(thin, thinRight, row: rows.lowerBound, column: columns.lowerBound) }
                    tiles.multiply(&product)
                    if isLast { epilogue?(rows, columns, target, stride) }
                }
            }
        }
        return converted(result, to: type)
    }

    // MARK: Operands

    /// A right operand that all threads pack, some columns (a multiple of 16) at a time.
    private func packed(
        _ columns: Int, depth: Int, _ pack: (Range<Int>, UnsafeMutablePointer<UInt16>) -> Void
    ) -> Tensor {
        let tiles = empty([TilePack.count(columns, depth: depth)], .bfloat16)
        let size = 4 * TilePack.side
        threads.run(tiles: (columns + size - 1) / size) { piece in
            let part = piece * size..<min(columns, (piece + 1) * size)
            pack(part, tiles.bfloatOutput + part.lowerBound / TilePack.side * TilePack.step(depth: depth))
        }
        return tiles
    }

    /// Rows of a weight as the depth of a right operand.
    private func packedColumns(_ weight: Weight, rows: Range<Int>) -> Tensor {
        let step = TilePack.step(depth: rows.count)
        let tiles = empty([TilePack.count(weight.columns, depth: rows.count)], .bfloat16)
        let blocks = TilePack.depthBlocks(rows.count)
        threads.run(tiles: blocks) { block in
            let first = rows.lowerBound + block * TilePack.depth
            packColumns(
                weight, rows: first..<min(rows.upperBound, first + TilePack.depth), columns: 0..<weight.columns,
                into: tiles.bfloatOutput + block * TilePack.elements, step: step)
        }
        return tiles
    }

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
                        for (index, row) in rows.enumerated() {
                            let start = row * weight.columns
                            matrix.expand(
                                start + part.lowerBound..<start + part.upperBound, into: target + index * part.count)
                        }
                        body(TileSource(bfloat16: target, stride: part.count), part)
                    }
                } else {
                    weight.expand(rows: rows, columns: part, precision: .float32, into: scratch)
                    body(TileSource(MatrixPointer(scratch, stride: part.count)), part)
                }
            }
        }
    }

    /// The left factor of a term, its scale included.
    private func packedLeft(_ term: ThinTerm) -> PackedRows {
        let (left, rank) = (term.scale == 1 ? term.left : scaled(term.left, by: term.scale), term.rank)
        return packRows(offsets: [0, left.rows], depth: rank) { TileSource(left, row: $0) }
    }

    /// Some columns of the right factor of a term.
    private func packedRight(_ term: ThinTerm, columns: Range<Int>) -> Tensor {
        packed(columns.count, depth: term.rank) { part, target in
            TileSource(term.right(from: columns.lowerBound + part.lowerBound)).packRight(
                columns: part.count, depth: term.rank, into: target, step: TilePack.step(depth: term.rank))
        }
    }

    private func scaled(_ x: Tensor, by factor: Float) -> Tensor {
        let y = empty(x.shape)
        martlet_scale(Int64(x.count), factor, x.floats, y.output)
        return y
    }
}

extension martlet_tile_product {
    init(rows: Range<Int>, columns: Range<Int>, into target: UnsafeMutablePointer<Float>, stride: Int) {
        self.init()
        (self.rows, self.columns) = (Int64(rows.count), Int64(columns.count))
        (result, self.stride) = (target, Int64(stride))
    }

    /// Adds a thin product as the second pair of operands.
    fileprivate mutating func add(_ left: PackedRows?, _ right: Tensor?, row: Int, column: Int) {
        guard let left, let right else { return }
        operands.1 = martlet_tile_operands(
            left: left.start(row: row), right: right.bfloats + column / TilePack.side * left.step,
            left_step: Int64(left.step), right_step: Int64(left.step), depth: Int64(TilePack.depthBlocks(left.depth)))
    }
}
