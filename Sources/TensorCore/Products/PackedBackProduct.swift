import CKernels

/// Gradients of inputs over packed operands.
extension Compute {
    /// `dx = Σ dy · weight + term` over the ways back to one input, `[rows, inputs]`.
    ///
    /// A thread packs a panel of columns of all weights for itself and finishes the sum of a tile while it is in cache.
    /// Weights that together are too deep for that take several rounds, between which the sum stays in float32.
    func packedProduct(_ ways: [BackProjection], addedTo sum: Tensor?, type: ElementType, on unit: ProductUnit) -> Tensor {
        let (dy, width, block) = (ways[0].dy, ways[0].weight.columns, ways.map(\.weight.columnBlock).max() ?? 1)
        let rounds = Self.rounds(of: ways, depth: unit.roundDepth)
        let result = sum ?? empty(dy.shape(columns: width), rounds.count > 1 ? .float32 : type)
        for (index, round) in rounds.enumerated() {
            let products = round.map { factors(of: $0, on: unit) }
            let items = TileGrid.items(
                rows: dy.rows, columns: width, depth: round.reduce(0) { $0 + $1.rows.count }, on: unit,
                block: block, threads: threads.threadCount)
            threads.run(tiles: items.count) { item in
                let (rows, columns) = items[item]
                withPacked(products, columns: columns) { packed in
                    for rows in TileGrid.heights(of: rows, at: unit.tileHeight) {
                        withResult(result, rows, columns) { target, stride in
                            for (place, part) in round.enumerated() {
                                multiply(
                                    packed[place], rows: rows, columns: columns, into: target, stride: stride,
                                    accumulate: sum != nil || index + place > 0, on: unit)
                                if part.isLast { part.way.epilogue?(rows, columns, target, stride) }
                            }
                        }
                    }
                }
            }
        }
        return converted(result, to: type)
    }

    /// Cuts the weights of the ways into ranges of rows, and those into rounds of at most `depth` rows.
    private static func rounds(of ways: [BackProjection], depth most: Int) -> [[BackPart]] {
        var (rounds, depth) = ([[BackPart]](), 0)
        for way in ways {
            for rows in TileGrid.heights(of: 0..<way.weight.rows, at: most) {
                depth += rows.count
                if rounds.isEmpty || depth > most {
                    rounds.append([])
                    depth = rows.count
                }
                rounds[rounds.count - 1].append(BackPart(way: way, rows: rows))
            }
        }
        return rounds
    }

    /// The factors of a part. The thin term goes with a weight's last rows.
    private func factors(of part: BackPart, on unit: ProductUnit) -> [Factor] {
        let factor =
            switch unit {
            case .tiles: tileFactor(of: part)
            case .strips(let form): stripFactor(of: part, as: form)
            }
        return [factor] + (part.isLast ? factors(of: part.way.term, on: unit) : [])
    }

    private func tileFactor(of part: BackPart) -> Factor {
        let (way, rows) = (part.way, part.rows)
        let whole = way.rows ?? (way.dy.count > TileGrid.mostPackedElements ? nil : tileRows(way.dy))
        let left =
            whole
            ?? packRows(offsets: [0, way.dy.rows], depth: rows.count) {
                TileSource(way.dy, row: $0, column: rows.lowerBound)
            }
        return Factor(rows: .tiles(left), column: whole == nil ? 0 : rows.lowerBound, depth: rows.count) {
            self.packColumns(
                way.weight, rows: rows, columns: $0, into: $1.tiles, step: TilePack.step(depth: rows.count))
        }
    }

    private func stripFactor(of part: BackPart, as form: StripForm) -> Factor {
        let (way, rows) = (part.way, part.rows)
        return Factor(rows: .matrix(way.dy, form), column: rows.lowerBound, depth: rows.count) {
            self.packStripsOfColumns(way.weight, adding: way.update, rows: rows, columns: $0, as: form, into: $1)
        }
    }
}

/// Some rows of a weight on a way back.
private struct BackPart {
    let way: BackProjection
    let rows: Range<Int>

    /// Whether these are the weight's last rows.
    var isLast: Bool { rows.upperBound == way.weight.rows }
}
