import CKernels

/// The thin products of adapters in bfloat16 on tiles.
extension Compute {
    /// `scale · x · right`, `[rows, rank]`, float32.
    func thinProduct(_ x: Tensor, _ right: TileSource, rank: Int, scale: Float, on tiles: TileUnit) -> Tensor {
        let (left, h, step) = (tileRows(x), empty([x.rows, rank]), TilePack.step(depth: x.columns))
        let factor = emptyTiles([TilePack.count(rank, depth: x.columns)])
        right.packRight(columns: rank, depth: x.columns, into: factor.bfloatOutput, step: step)
        let size = 128
        threads.run(tiles: (x.rows + size - 1) / size) { tile in
            let rows = tile * size..<min(x.rows, (tile + 1) * size)
            let target = h.output + rows.lowerBound * rank
            var product = martlet_tile_product(rows: rows, columns: 0..<rank, into: target, stride: rank)
            product.operands.0 = martlet_tile_operands(
                left: left.operand(row: rows.lowerBound), right: martlet_packed_tiles(factor.bfloats, Int64(step)),
                depth: Int64(TilePack.depthBlocks(x.columns)))
            tiles.multiply(&product)
            if scale != 1 { martlet_scale(Int64(rows.count * rank), scale, target, target) }
        }
        return h
    }

    /// As ``lowRankBackward(_:_:a:b:scale:hidden:)``. Sums over tokens run in the order of the tokens; threads share the
    /// columns of the gradients.
    func tileLowRankBackward(
        _ x: Tensor, _ dy: Tensor, a: Tensor, b: Tensor, scale: Float, hidden: Tensor?, on tiles: TileUnit
    ) -> (g: Tensor, dA: Tensor, dBTransposed: Tensor) {
        let rank = a.rows
        let hidden = hidden ?? thinProduct(x, TileSource(a).transposed, rank: rank, scale: 1, on: tiles)
        let g = thinProduct(dy, TileSource(b), rank: rank, scale: scale, on: tiles)
        // The gradient has just been packed, if it had to be.
        let dB = sumOverRows(hidden, dy, scale: scale, on: tiles)
        return (g, sumOverRows(g, x, scale: 1, on: tiles), dB)
    }

    /// `scale · leftᵀ · x`, `[rank, columns]`, sums over the rows in their order.
    /// - Parameter left: `[rows, rank]`.
    private func sumOverRows(_ left: Tensor, _ x: Tensor, scale: Float, on tiles: TileUnit) -> Tensor {
        let (rank, width, rows) = (left.columns, x.columns, tileRows(x))
        let (result, step) = (empty([rank, width]), TilePack.blocks(x.rows) * TilePack.elements)
        let spread = emptyTiles([2 * TilePack.blocks(rank) * step])
        packSpread(left, into: spread, step: step)
        let pieces = Swift.stride(from: 0, to: width, by: 128).map { $0..<min(width, $0 + 128) }
        threads.run(tiles: pieces.count) { piece in
            let columns = pieces[piece]
            let operands = martlet_tile_operands(
                left: martlet_packed_tiles(spread.bfloats, Int64(step)),
                right: rows.rightOperand(column: columns.lowerBound), depth: Int64(TilePack.blocks(x.rows)))
            multiplySpread(operands, rank: rank, columns: columns.count, on: tiles) { row, sums in
                let target = result.output + row * width + columns.lowerBound
                martlet_scale(Int64(columns.count), scale, sums, target)
            }
        }
        return result
    }

    /// Packs the transpose of `left` as a left operand that is spread, one tile for sixteen of its rows.
    private func packSpread(_ left: Tensor, into tiles: Tensor, step: Int) {
        let (rank, height) = (left.columns, 16 * TilePack.side)
        threads.run(tiles: (left.rows + height - 1) / height) { piece in
            let start = piece * height
            martlet_pack_spread(
                Int64(rank), Int64(min(height, left.rows - start)), left.floats + start * rank, Int64(rank),
                tiles.bfloatOutput + start / TilePack.side * TilePack.elements, Int64(step))
        }
    }

    /// `gᵀ · x` on the calling thread, sums over rows; `body` gets its rows.
    /// - Parameters:
    ///   - g: `[rows, rank]`.
    ///   - right: rows of `x` as a right operand.
    func multiplySpread(
        _ g: UnsafePointer<Float>, _ right: martlet_tile_operand, rows: Int, rank: Int, columns: Int, on tiles: TileUnit,
        _ body: (Int, UnsafePointer<Float>) -> Void
    ) {
        let step = TilePack.blocks(rows) * TilePack.elements
        withTileScratch(2 * TilePack.blocks(rank) * step) { spread in
            martlet_pack_spread(Int64(rank), Int64(rows), g, Int64(rank), spread, Int64(step))
            let operands = martlet_tile_operands(
                left: martlet_packed_tiles(spread, Int64(step)), right: right, depth: Int64(TilePack.blocks(rows)))
            multiplySpread(operands, rank: rank, columns: columns, on: tiles, body)
        }
    }

    /// A product of a spread operand on the calling thread; `body` gets its rows.
    private func multiplySpread(
        _ operands: martlet_tile_operands, rank: Int, columns: Int, on tiles: TileUnit,
        _ body: (Int, UnsafePointer<Float>) -> Void
    ) {
        let (side, pairs) = (TilePack.side, (columns + 1) / 2)
        let height = 2 * side * TilePack.blocks(rank)
        withScratch((height + 2) * pairs) { halves in
            let whole = halves + height * pairs
            var product = martlet_tile_product(rows: 0..<height, columns: 0..<pairs, into: halves, stride: pairs)
            product.operands.0 = operands
            tiles.multiply(&product)
            for row in 0..<rank {
                let even = halves + (row / side * 2 * side + row % side) * pairs
                martlet_join_pairs(Int64(pairs), even, even + side * pairs, whole)
                body(row, whole)
            }
        }
    }

    /// A product on the calling thread of a left operand with a right one, `[depth, columns]`, that is packed some depth at
    /// a time.
    func multiply(
        _ left: martlet_tile_operand, _ right: TileSource, rows: Int, columns: Int, depth: Int, accumulate: Bool,
        into target: UnsafeMutablePointer<Float>, stride: Int, on tiles: TileUnit
    ) {
        let most = max(TilePack.depth, (1 << 17) / max(1, columns) / TilePack.depth * TilePack.depth)
        let scratchStep = TilePack.step(depth: min(most, depth))
        withTileScratch(TilePack.blocks(columns) * scratchStep) { scratch in
            for first in Swift.stride(from: 0, to: max(1, depth), by: most) {
                let here = min(most, depth - first)
                right.moved(down: first).packRight(columns: columns, depth: here, into: scratch, step: scratchStep)
                var product = martlet_tile_product(rows: 0..<rows, columns: 0..<columns, into: target, stride: stride)
                product.accumulate = accumulate || first > 0 ? 1 : 0
                var left = left
                left.tiles += first / TilePack.depth * Int(left.depth_step)
                product.operands.0 = martlet_tile_operands(
                    left: left, right: martlet_packed_tiles(scratch, Int64(scratchStep)), depth: Int64(TilePack.depthBlocks(here)))
                tiles.multiply(&product)
            }
        }
    }

    /// Scratch memory for packed operands, for the time of `body`.
    func withTileScratch(_ count: Int, _ body: (UnsafeMutablePointer<UInt16>) -> Void) {
        withScratch((count + 1) / 2) { scratch in
            scratch.withMemoryRebound(to: UInt16.self, capacity: count, body)
        }
    }
}

extension Compute {
    /// `c[m, n] = alpha · a[m, k] · b[k, n] + beta · c` on the calling thread, in the arithmetic of the precision.
    /// - Precondition: `alpha` is 1 or `beta` is 0; `beta` is 0 or 1.
    package func multiply(
        _ m: Int, _ n: Int, _ k: Int, alpha: Float = 1, _ a: MatrixPointer, _ b: MatrixPointer, beta: Float = 0,
        into c: UnsafeMutablePointer<Float>, stride: Int
    ) {
        precondition((alpha == 1 || beta == 0) && (beta == 0 || beta == 1), "product with factors \(alpha) and \(beta)")
        guard let tiles, m >= Self.fewRows, n > 0, k > 0 else {
            return sgemm(m, n, k, alpha: alpha, a, b, beta: beta, into: c, stride: stride)
        }
        withTileScratch(TilePack.count(m, depth: k)) { left in
            let step = TilePack.step(depth: k)
            TileSource(a).packLeft(rows: m, depth: k, into: left, step: step)
            multiply(
                martlet_packed_tiles(left, Int64(step)), TileSource(b), rows: m, columns: n, depth: k, accumulate: beta != 0, into: c, stride: stride,
                on: tiles)
        }
        if alpha != 1 { for row in 0..<m { martlet_scale(Int64(n), alpha, c + row * stride, c + row * stride) } }
    }
}
