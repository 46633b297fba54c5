import CKernels

/// The thin products of adapters in bfloat16 on tile registers.
extension Compute {
    /// `scale · x · right`, `[rows, rank]`, float32.
    func thinProduct(_ x: Tensor, _ right: TileSource, rank: Int, scale: Float, on tiles: TileUnit) -> Tensor {
        let (left, h) = (packedRows(x), empty([x.rows, rank]))
        let factor = empty([TilePack.count(rank, depth: x.columns)], .bfloat16)
        right.packRight(columns: rank, depth: x.columns, into: factor.bfloatOutput, step: left.step)
        let size = 128
        threads.run(tiles: (x.rows + size - 1) / size) { tile in
            let rows = tile * size..<min(x.rows, (tile + 1) * size)
            let target = h.output + rows.lowerBound * rank
            var product = martlet_tile_product(rows: rows, columns: 0..<rank, into: target, stride: rank)
            product.operands.0 = martlet_tile_operands(
                left: left.start(row: rows.lowerBound), right: factor.bfloats, left_step: Int64(left.step),
                right_step: Int64(left.step), depth: Int64(TilePack.depthBlocks(x.columns)))
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
        let dA = overTokens(packedTranspose(g), packedColumns(x), x, rank: rank, scale: 1, on: tiles)
        let dB = overTokens(packedTranspose(hidden), nil, dy, rank: rank, scale: scale, on: tiles)
        return (g, dA, dB)
    }

    /// `scale · leftᵀ · right`, `[rank, columns]`, sums over the tokens.
    /// - Parameters:
    ///   - left: the packed transpose of `[tokens, rank]`.
    ///   - packed: ``packedColumns(_:)`` of `right`; `nil` packs it on the way.
    private func overTokens(
        _ left: Tensor, _ packed: Tensor?, _ right: Tensor, rank: Int, scale: Float, on tiles: TileUnit
    ) -> Tensor {
        let (result, stride) = (empty([rank, right.columns]), right.columns)
        let step = TilePack.step(depth: right.rows)
        forEachColumnPiece(right) { columns in
            let target = result.output + columns.lowerBound
            if let packed {
                var product = martlet_tile_product(rows: 0..<rank, columns: columns, into: target, stride: stride)
                product.operands.0 = martlet_tile_operands(
                    left: left.bfloats, right: packed.bfloats + columns.lowerBound / TilePack.side * step,
                    left_step: Int64(step), right_step: Int64(step), depth: Int64(TilePack.depthBlocks(right.rows)))
                tiles.multiply(&product)
            } else {
                multiply(
                    left.bfloats, TileSource(right, column: columns.lowerBound), rows: rank, columns: columns.count,
                    depth: right.rows, accumulate: false, into: target, stride: stride, on: tiles)
            }
            if scale != 1 {
                for row in 0..<rank {
                    martlet_scale(Int64(columns.count), scale, target + row * stride, target + row * stride)
                }
            }
        }
        return result
    }

    /// The columns of `x` as a right operand whose depth is the rows. Layers over the same input pack it once.
    private func packedColumns(_ x: Tensor) -> Tensor {
        if let packed = recentColumns.find(x) { return packed }
        recentColumns.clear()
        let step = TilePack.step(depth: x.rows)
        let packed = empty([TilePack.count(x.columns, depth: x.rows)], .bfloat16)
        forEachColumnPiece(x) { columns in
            TileSource(x, column: columns.lowerBound).packRight(
                columns: columns.count, depth: x.rows,
                into: packed.bfloatOutput + columns.lowerBound / TilePack.side * step, step: step)
        }
        recentColumns.keep(packed, of: x)
        return packed
    }

    private func forEachColumnPiece(_ x: Tensor, _ body: (Range<Int>) -> Void) {
        let pieces = stride(from: 0, to: x.columns, by: 128).map { $0..<min(x.columns, $0 + 128) }
        threads.run(tiles: pieces.count) { body(pieces[$0]) }
    }

    /// The transpose of `[rows, rank]` as a left operand.
    private func packedTranspose(_ tensor: Tensor) -> Tensor {
        let tiles = empty([TilePack.count(tensor.columns, depth: tensor.rows)], .bfloat16)
        TileSource(tensor).transposed.packLeft(
            rows: tensor.columns, depth: tensor.rows, into: tiles.bfloatOutput, step: TilePack.step(depth: tensor.rows))
        return tiles
    }

    /// A product on the calling thread of a packed left operand with a right one, `[depth, columns]`, that is packed
    /// some depth at a time.
    func multiply(
        _ left: UnsafePointer<UInt16>, _ right: TileSource, rows: Int, columns: Int, depth: Int, accumulate: Bool,
        into target: UnsafeMutablePointer<Float>, stride: Int, on tiles: TileUnit
    ) {
        let most = max(TilePack.depth, (1 << 17) / max(1, columns) / TilePack.depth * TilePack.depth)
        let (leftStep, scratchStep) = (TilePack.step(depth: depth), TilePack.step(depth: min(most, depth)))
        withTileScratch(TilePack.blocks(columns) * scratchStep) { scratch in
            for first in Swift.stride(from: 0, to: max(1, depth), by: most) {
                let here = min(most, depth - first)
                right.moved(down: first).packRight(columns: columns, depth: here, into: scratch, step: scratchStep)
                var product = martlet_tile_product(rows: 0..<rows, columns: 0..<columns, into: target, stride: stride)
                product.accumulate = accumulate || first > 0 ? 1 : 0
                product.operands.0 = martlet_tile_operands(
                    left: left + first / TilePack.depth * TilePack.elements, right: scratch, left_step: Int64(leftStep),
                    right_step: Int64(scratchStep), depth: Int64(TilePack.depthBlocks(here)))
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
            TileSource(a).packLeft(rows: m, depth: k, into: left, step: TilePack.step(depth: k))
            multiply(
                left, TileSource(b), rows: m, columns: n, depth: k, accumulate: beta != 0, into: c, stride: stride,
                on: tiles)
        }
        if alpha != 1 { for row in 0..<m { martlet_scale(Int64(n), alpha, c + row * stride, c + row * stride) } }
    }
}
