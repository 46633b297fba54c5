import CKernels

/// Products of rows in groups with one matrix per group: the layers of a mixture's experts.
///
/// Work is cut into panels of the result's columns, each of one group with all its rows. The weights under a panel are
/// expanded once, by the thread that computes it, and used for all rows of the group. Panels do not wait for each
/// other, and groups without rows have none. The cut is a function of shapes and of the rows per group only.
extension Compute {
    /// Called for a finished panel of a result: group, rows and columns of the result, its memory and row stride.
    package typealias GroupedEpilogue = (
        _ group: Int, _ rows: Range<Int>, _ columns: Range<Int>, UnsafeMutablePointer<Float>, Int
    ) -> Void

    /// `y[r] = W_g · x[r]` for the rows r of each group g: `[rows, outputs]`.
    /// - Parameters:
    ///   - offsets: group g has the rows `offsets[g]..<offsets[g + 1]` of `x`.
    ///   - type: element type of the result.
    ///   - epilogue: adds what belongs to the same result (bias, adapter) while a panel is in cache.
    package func groupedProduct(
        _ x: Tensor, offsets: [Int], transposed weight: GroupedWeight, type: ElementType = .float32,
        epilogue: GroupedEpilogue? = nil
    ) -> Tensor {
        precondition(x.columns == weight.inputs, "grouped product of \(x.shape) with \(weight.inputs) inputs")
        return run(
            weight.rowsAreOutputs ? weight.rowPanels(offsets) : weight.columnPanels(offsets), x, offsets,
            weight.outputs, weight, type, epilogue)
    }

    /// `dx[r] = dy[r] · W_g` for the rows r of each group g, `[rows, inputs]`: the gradient of the line above.
    package func groupedProduct(
        _ dy: Tensor, offsets: [Int], _ weight: GroupedWeight, type: ElementType = .float32,
        epilogue: GroupedEpilogue? = nil
    ) -> Tensor {
        precondition(dy.columns == weight.outputs, "grouped product of \(dy.shape) with \(weight.outputs) outputs")
        return run(
            weight.rowsAreOutputs ? weight.columnPanels(offsets) : weight.rowPanels(offsets), dy, offsets,
            weight.inputs, weight, type, epilogue)
    }

    private func run(
        _ panels: [GroupedPanel], _ x: Tensor, _ offsets: [Int], _ width: Int, _ weight: GroupedWeight,
        _ type: ElementType, _ epilogue: GroupedEpilogue?
    ) -> Tensor {
        let y = empty([x.rows, width], type)
        let operand = tiles.map { ($0, packedRows(x, offsets: offsets)) }
        threads.run(tiles: panels.count) { tile in
            let panel = panels[tile]
            withPanel(y, panel) { target, stride in
                for piece in panel.pieces {
                    weight.expansions.add(piece.storedRows.count * piece.storedColumns.count, to: panel.group)
                    if let operand, panel.rows.count >= Self.fewRows {
                        multiply(operand.1, x, panel, piece, into: target, stride: stride, on: operand.0)
                    } else {
                        multiply(x, panel, piece, into: target, stride: stride)
                    }
                }
                epilogue?(panel.group, panel.rows, panel.columns, target, stride)
            }
        }
        return y
    }

    /// Memory for a panel of the result: in place for float32, else scratch that is rounded into place afterwards.
    private func withPanel(_ y: Tensor, _ panel: GroupedPanel, _ body: (UnsafeMutablePointer<Float>, Int) -> Void) {
        let (start, width) = (panel.rows.lowerBound * y.columns + panel.columns.lowerBound, panel.columns.count)
        if y.elementType == .float32 { return body(y.output + start, y.columns) }
        withScratch(panel.rows.count * width) { scratch in
            body(scratch, width)
            for row in 0..<panel.rows.count {
                martlet_to_bfloat16(Int64(width), scratch + row * width, y.bfloatOutput + start + row * y.columns)
            }
        }
    }

    /// Adds the contribution of one block of weights to a panel; the first one sets it.
    private func multiply(
        _ x: Tensor, _ panel: GroupedPanel, _ piece: GroupedPanel.Piece, into target: UnsafeMutablePointer<Float>,
        stride: Int
    ) {
        if piece.isTransposed && panel.rows.count < Self.fewRows {
            return dots(x, panel, piece, into: target, stride: stride)
        }
        withBlock(piece) { block in
            // Rows a few hundred at a time, so that an operand that has to be widened fits the cache.
            for part in TileGrid.pieces(panel.rows.count, target: 256) {
                let from = panel.rows.lowerBound + part.lowerBound..<panel.rows.lowerBound + part.upperBound
                withOperand(x, from, columns: piece.operandColumns) { operand in
                    sgemm(
                        part.count, panel.columns.count, piece.depth, operand,
                        piece.isTransposed ? block.transposed : block, beta: piece.isFirst ? 0 : 1,
                        into: target + part.lowerBound * stride, stride: stride)
                }
            }
        }
    }

    /// The same for a few rows, as decoding has them.
    private func dots(
        _ x: Tensor, _ panel: GroupedPanel, _ piece: GroupedPanel.Piece, into target: UnsafeMutablePointer<Float>,
        stride: Int
    ) {
        withOperand(x, panel.rows, columns: piece.operandColumns) { operand in
            dots(
                panel.rows.count, operand, piece.weight, piece.storedRows, accumulate: !piece.isFirst, into: target,
                stride: stride)
        }
    }

    /// Calls `body` with a block of a weight as float32, in place where it lies so.
    private func withBlock(_ piece: GroupedPanel.Piece, _ body: (MatrixPointer) -> Void) {
        let (rows, columns) = (piece.storedRows, piece.storedColumns)
        if precision == .float32, let pointer = piece.weight.float32Pointer {
            let width = piece.weight.columns
            return body(MatrixPointer(pointer + rows.lowerBound * width + columns.lowerBound, stride: width))
        }
        withScratch(rows.count * columns.count) { scratch in
            piece.weight.expand(rows: rows, columns: columns, precision: precision, into: scratch)
            body(MatrixPointer(scratch, stride: columns.count))
        }
    }
}

/// Columns of the result of one group, and the blocks of weights that they are computed from, in order.
struct GroupedPanel {
    struct Piece {
        let weight: Weight
        let storedRows, storedColumns: Range<Int>
        /// The first column of the operand that meets this block.
        let operandColumn: Int
        /// Whether the stored rows are columns of the result.
        let isTransposed: Bool
        let isFirst: Bool

        var depth: Int { isTransposed ? storedColumns.count : storedRows.count }
        var operandColumns: Range<Int> { operandColumn..<operandColumn + depth }
    }

    let group: Int
    let rows, columns: Range<Int>
    let pieces: [Piece]
}

extension GroupedWeight {
    /// Panels whose columns are stored rows, the heaviest first.
    func rowPanels(_ offsets: [Int]) -> [GroupedPanel] {
        panels(offsets) { group, rows in
            // Backwards over several parts, each part of the outputs adds to all inputs.
            let isForward = rowsAreOutputs
            let groups = isForward ? parts[group].map { [$0] } : [parts[group]]
            return groups.flatMap { parts in
                TileGrid.groupedPanels(rows: parts[0].rows.count, depth: parts[0].weight.columns).map { part in
                    let first = isForward ? parts[0].outputs.lowerBound : 0
                    return GroupedPanel(
                        group: group, rows: rows, columns: first + part.lowerBound..<first + part.upperBound,
                        pieces: parts.enumerated().map { index, source in
                            GroupedPanel.Piece(
                                weight: source.weight,
                                storedRows: source.rows.lowerBound + part.lowerBound..<source.rows.lowerBound
                                    + part.upperBound,
                                storedColumns: 0..<source.weight.columns,
                                operandColumn: isForward ? 0 : source.outputs.lowerBound, isTransposed: true,
                                isFirst: index == 0)
                        })
                }
            }
        }
    }

    /// Panels whose columns are stored columns, the heaviest first.
    func columnPanels(_ offsets: [Int]) -> [GroupedPanel] {
        panels(offsets) { group, rows in
            let isForward = !rowsAreOutputs
            let groups = isForward ? parts[group].map { [$0] } : [parts[group]]
            return groups.flatMap { parts in
                TileGrid.groupedPanels(
                    rows: rows.count, columns: parts[0].weight.columns, block: parts[0].weight.columnBlock
                ).map { part in
                    let first = isForward ? parts[0].outputs.lowerBound : 0
                    return GroupedPanel(
                        group: group, rows: rows, columns: first + part.lowerBound..<first + part.upperBound,
                        pieces: Self.pieces(parts, part, isForward: isForward))
                }
            }
        }
    }

    /// The blocks under some stored columns of parts, a few rows at a time.
    private static func pieces(_ parts: [Part], _ columns: Range<Int>, isForward: Bool) -> [GroupedPanel.Piece] {
        var pieces: [GroupedPanel.Piece] = []
        for source in parts {
            let first = isForward ? 0 : source.outputs.lowerBound
            for part in TileGrid.pieces(
                source.rows.count, target: TileGrid.groupedPanelElements / max(1, columns.count))
            {
                pieces.append(
                    GroupedPanel.Piece(
                        weight: source.weight,
                        storedRows: source.rows.lowerBound + part.lowerBound..<source.rows.lowerBound + part.upperBound,
                        storedColumns: columns, operandColumn: first + part.lowerBound, isTransposed: false,
                        isFirst: pieces.isEmpty))
            }
        }
        return pieces
    }

    private func panels(_ offsets: [Int], _ cut: (Int, Range<Int>) -> [GroupedPanel]) -> [GroupedPanel] {
        precondition(offsets.count == count + 1, "\(offsets.count) offsets for \(count) groups")
        let panels = (0..<count).flatMap { group in
            offsets[group] < offsets[group + 1] ? cut(group, offsets[group]..<offsets[group + 1]) : []
        }
        return panels.enumerated().sorted {
            ($0.element.rows.count * $0.element.columns.count, $1.offset) > (
                $1.element.rows.count * $1.element.columns.count, $0.offset
            )
        }.map(\.element)
    }
}
