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
            panels(of: weight, offsets, areRows: weight.rowsAreOutputs), x, offsets, weight.outputs, weight, type, epilogue)
    }

    /// `dx[r] = dy[r] · W_g` for the rows r of each group g, `[rows, inputs]`: the gradient of the product above.
    package func groupedProduct(
        _ dy: Tensor, offsets: [Int], _ weight: GroupedWeight, type: ElementType = .float32,
        epilogue: GroupedEpilogue? = nil
    ) -> Tensor {
        precondition(dy.columns == weight.outputs, "grouped product of \(dy.shape) with \(weight.outputs) outputs")
        return run(
            panels(of: weight, offsets, areRows: !weight.rowsAreOutputs), dy, offsets, weight.inputs, weight, type, epilogue)
    }

    private func run(
        _ panels: [GroupedPanel], _ x: Tensor, _ offsets: [Int], _ width: Int, _ weight: GroupedWeight,
        _ type: ElementType, _ epilogue: GroupedEpilogue?
    ) -> Tensor {
        let y = empty([x.rows, width], type)
        let multiply = blockProduct(x, offsets, for: panels)
        threads.run(tiles: panels.count) { tile in
            let panel = panels[tile]
            withResult(y, panel.rows, panel.columns) { target, stride in
                for piece in panel.pieces {
                    weight.expansions.add(piece.storedRows.count * piece.storedColumns.count, to: panel.group)
                    multiply(panel, piece, target, stride)
                }
                epilogue?(panel.group, panel.rows, panel.columns, target, stride)
            }
        }
        return y
    }

    /// Adds the contribution of one block of weights to a panel, whose memory and row stride are given; the first one
    /// sets it.
    private typealias BlockProduct = (GroupedPanel, GroupedPanel.Piece, UnsafeMutablePointer<Float>, Int) -> Void

    /// Fewer rows than this go through dot products with weights as they lie: for more it is faster to expand those
    /// once.
    private static let fewestExpanded = 4

    /// What a thread does with a block, for few rows and for many.
    private func blockProduct(_ x: Tensor, _ offsets: [Int], for panels: [GroupedPanel]) -> BlockProduct {
        let product = manyRowsProduct(x, offsets, for: panels)
        return { panel, piece, target, stride in
            if panel.rows.count < Self.fewestExpanded && piece.isTransposed {
                self.dots(x, panel, piece, into: target, stride: stride)
            } else if panel.rows.count < Self.fewRows && !piece.isTransposed {
                self.libraryProduct(x, panel, piece, into: target, stride: stride)
            } else {
                product(panel, piece, target, stride)
            }
        }
    }

    /// Makes the rows ready, on all threads, for what multiplies them. It is chosen once for all panels: a choice for
    /// each would count references that threads share.
    private func manyRowsProduct(_ x: Tensor, _ offsets: [Int], for panels: [GroupedPanel]) -> BlockProduct {
        if let tiles {
            let rows = tileRows(x, offsets: offsets)
            return { self.multiply(rows, x, $0, $1, into: $2, stride: $3, on: tiles) }
        }
        if packsGroups(offsets) {
            return { self.stripProduct(x, $0, $1, into: $2, stride: $3) }
        }
        if vectors == nil {
            return { self.libraryProduct(x, $0, $1, into: $2, stride: $3) }
        }
        if panels.first?.pieces.first?.isTransposed == true {
            let rows = TransposedRows(x, offsets, on: self)
            return { self.panelProduct(rows, $0, $1, into: $2, stride: $3) }
        }
        return { self.panelProduct(x, $0, $1, into: $2, stride: $3) }
    }

    /// By the library, which has kernels of its own for a few rows.
    private func libraryProduct(
        _ x: Tensor, _ panel: GroupedPanel, _ piece: GroupedPanel.Piece, into target: UnsafeMutablePointer<Float>,
        stride: Int
    ) {
        withBlock(piece) { block in
            forEachOperand(x, panel, piece) { rows, operand in
                sgemm(
                    rows.count, panel.columns.count, piece.depth, operand, piece.isTransposed ? block.transposed : block,
                    beta: piece.isFirst ? 0 : 1, into: target + (rows.lowerBound - panel.rows.lowerBound) * stride,
                    stride: stride)
            }
        }
    }

    /// What meets a block of weights, a few hundred rows at a time, so that an operand that has to be widened fits the
    /// cache.
    func forEachOperand(
        _ x: Tensor, _ panel: GroupedPanel, _ piece: GroupedPanel.Piece, _ body: (Range<Int>, MatrixPointer) -> Void
    ) {
        for part in TileGrid.pieces(panel.rows.count, target: 256) {
            let rows = panel.rows.lowerBound + part.lowerBound..<panel.rows.lowerBound + part.upperBound
            withOperand(x, rows, columns: piece.operandColumns) { body(rows, $0) }
        }
    }

    /// Dot products for a few rows, as decoding has them.
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

    /// Calls `body` with a block of a weight as float32 in the cache of this core.
    func withBlock(_ piece: GroupedPanel.Piece, _ body: (MatrixPointer) -> Void) {
        let (rows, columns) = (piece.storedRows, piece.storedColumns)
        withScratch(rows.count * columns.count) { scratch in
            piece.weight.expand(rows: rows, columns: columns, precision: operandPrecision, into: scratch)
            body(MatrixPointer(scratch, stride: columns.count))
        }
    }
}
