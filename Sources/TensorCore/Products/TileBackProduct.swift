import CKernels

/// Gradients of inputs in bfloat16 on tile registers.
extension Compute {
    /// `dx = Σ dy · weight + term` over the ways back to one input, `[rows, inputs]`.
    ///
    /// A thread packs a panel of columns of all weights for itself and finishes the sum of a tile while it is in cache.
    /// Weights that together are too deep for that take several rounds, between which the sum stays in float32.
    func tileProduct(_ ways: [BackProjection], type: ElementType, on tiles: TileUnit) -> Tensor {
        let (dy, width, block) = (ways[0].dy, ways[0].weight.columns, ways.map(\.weight.columnBlock).max() ?? 1)
        let rounds = Self.rounds(of: ways)
        let result = empty(dy.shape(columns: width), rounds.count > 1 ? .float32 : type)
        for (index, round) in rounds.enumerated() {
            let parts = round.map { packedPart(ways[$0.way], rows: $0.rows) }
            let depth = parts.reduce(0) { $0 + $1.rows.count }
            let items = TileGrid.items(
                rows: dy.rows, columns: width, depth: depth, block: block, threads: threads.threadCount)
            threads.run(tiles: items.count) { item in
                let (rows, columns) = items[item]
                withTileScratch(parts.reduce(0) { $0 + $1.room(columns.count) }) { scratch in
                    let operands = packedOperands(parts, columns: columns, into: scratch)
                    for rows in TileGrid.heights(of: rows, at: 256) {
                        withResult(result, rows, columns) { target, stride in
                            for (place, part) in parts.enumerated() {
                                multiply(
                                    operands[place].0, operands[place].1, rows: rows, columns: columns, into: target,
                                    stride: stride, accumulate: index + place > 0, on: tiles)
                                if part.isLast { part.way.epilogue?(rows, columns, target, stride) }
                            }
                        }
                    }
                }
            }
        }
        return converted(result, to: type)
    }

    /// Cuts the weights of the ways into ranges of rows, and those into rounds.
    private static func rounds(of ways: [BackProjection]) -> [[(way: Int, rows: Range<Int>)]] {
        var (rounds, depth) = ([[(way: Int, rows: Range<Int>)]](), Int.max / 2)
        for (index, way) in ways.enumerated() {
            for rows in TileGrid.heights(of: 0..<way.weight.rows, at: TileGrid.mostPackedDepth) {
                depth += rows.count
                if depth > TileGrid.mostPackedDepth {
                    rounds.append([])
                    depth = rows.count
                }
                rounds[rounds.count - 1].append((index, rows))
            }
        }
        return rounds
    }

    private func packedPart(_ way: BackProjection, rows: Range<Int>) -> BackPart {
        let whole = way.packed ?? (way.dy.count > TileGrid.mostPackedElements ? nil : packedRows(way.dy))
        let left =
            whole
            ?? packRows(offsets: [0, way.dy.rows], depth: rows.count) {
                TileSource(way.dy, row: $0, column: rows.lowerBound)
            }
        // The thin term goes with the last rows.
        let isLast = rows.upperBound == way.weight.rows
        return BackPart(
            way: way, rows: rows, isLast: isLast, left: left, column: whole == nil ? 0 : rows.lowerBound,
            thin: isLast ? way.term.map(packedLeft) : nil)
    }

    private func packedOperands(
        _ parts: [BackPart], columns: Range<Int>, into scratch: UnsafeMutablePointer<UInt16>
    ) -> [(TileOperands, TileOperands?)] {
        var panel = scratch
        return parts.map { part in
            let depth = part.rows.count
            packColumns(
                part.way.weight, rows: part.rows, columns: columns, into: panel, step: TilePack.step(depth: depth))
            let whole = TileOperands(left: part.left, column: part.column, right: panel, depth: depth)
            panel += TilePack.count(columns.count, depth: depth)
            guard let term = part.way.term, let thin = part.thin else { return (whole, nil) }
            pack(term, columns: columns, into: panel)
            defer { panel += TilePack.count(columns.count, depth: thin.depth) }
            return (whole, TileOperands(left: thin, right: panel, depth: thin.depth))
        }
    }
}

/// Some rows of a weight on a way back, and what they meet.
private struct BackPart {
    let way: BackProjection
    let rows: Range<Int>
    /// Whether these are the weight's last rows.
    let isLast: Bool
    let left: PackedRows
    /// Where the rows begin in the packed gradient.
    let column: Int
    /// The left factor of the thin term, with the last rows.
    let thin: PackedRows?

    /// Elements of the packed right operands over so many columns.
    func room(_ columns: Int) -> Int {
        TilePack.count(columns, depth: rows.count) + TilePack.count(columns, depth: thin?.depth ?? 0)
    }
}
