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
            let products = round.map { factors(of: $0) }
            let items = TileGrid.items(
                rows: dy.rows, columns: width, depth: round.reduce(0) { $0 + $1.rows.count }, block: block,
                threads: threads.threadCount)
            threads.run(tiles: items.count) { item in
                let (rows, columns) = items[item]
                withOperands(of: products, columns: columns) { operands in
                    for rows in TileGrid.heights(of: rows, at: 256) {
                        withResult(result, rows, columns) { target, stride in
                            for (place, part) in round.enumerated() {
                                multiply(
                                    operands[place], rows: rows, columns: columns, into: target, stride: stride,
                                    accumulate: index + place > 0, on: tiles)
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
    private static func rounds(of ways: [BackProjection]) -> [[BackPart]] {
        var (rounds, depth) = ([[BackPart]](), 0)
        for way in ways {
            for rows in TileGrid.heights(of: 0..<way.weight.rows, at: TileGrid.mostPackedDepth) {
                depth += rows.count
                if rounds.isEmpty || depth > TileGrid.mostPackedDepth {
                    rounds.append([])
                    depth = rows.count
                }
                rounds[rounds.count - 1].append(BackPart(way: way, rows: rows))
            }
        }
        return rounds
    }

    /// The factors of a part. The thin term goes with a weight's last rows.
    private func factors(of part: BackPart) -> [TileFactor] {
        let (way, rows) = (part.way, part.rows)
        let whole = way.rows ?? (way.dy.count > TileGrid.mostPackedElements ? nil : tileRows(way.dy))
        let left =
            whole
            ?? packRows(offsets: [0, way.dy.rows], depth: rows.count) {
                TileSource(way.dy, row: $0, column: rows.lowerBound)
            }
        let factor = TileFactor(left: left, column: whole == nil ? 0 : rows.lowerBound, depth: rows.count) {
            self.packColumns(way.weight, rows: rows, columns: $0, into: $1, step: TilePack.step(depth: rows.count))
        }
        return [factor] + (part.isLast ? factors(of: way.term) : [])
    }
}

/// Some rows of a weight on a way back.
private struct BackPart {
    let way: BackProjection
    let rows: Range<Int>

    /// Whether these are the weight's last rows.
    var isLast: Bool { rows.upperBound == way.weight.rows }
}
