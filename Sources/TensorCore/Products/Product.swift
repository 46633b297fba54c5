import CKernels

/// Products of activations with weights: the one seam behind which weights are expanded and kernels chosen.
///
/// Weights are walked in panels of rows. A panel is expanded once, by all threads, and then all rows of the
/// activations run over it, tile by tile. A weight that lies as float32 is used where it lies.
extension Compute {
    /// Called for a finished tile of a result: rows and columns of the result, its memory and row stride.
    package typealias Epilogue = (_ rows: Range<Int>, _ columns: Range<Int>, UnsafeMutablePointer<Float>, Int) -> Void

    /// `y[rows, outputs] = x[rows, inputs] · weightᵀ`; see ``Projection``.
    /// - Parameter type: element type of the result.
    package func product(
        _ x: Tensor, transposed weight: Weight, adding update: WeightUpdate? = nil, plus term: ThinTerm? = nil,
        type: ElementType = .float32, epilogue: Epilogue? = nil
    ) -> Tensor {
        products(x, 1, type: type) { _ in Projection(weight, adding: update, plus: term, epilogue: epilogue) }[0]
    }

    /// `count` products over the same activations. Where those are few rows, the threads start once for all of them.
    /// - Parameter projection: is asked for each in turn, as late as can be.
    package func products(
        _ x: Tensor, _ count: Int, type: ElementType = .float32, _ projection: (Int) -> Projection
    ) -> [Tensor] {
        if x.rows >= Self.fewRows { return (0..<count).map { product(x, projection($0), type: type) } }
        let projections = (0..<count).map(projection)
        // A weight that is updated has to be written down before it is read.
        if projections.contains(where: { $0.update != nil }) { return projections.map { product(x, $0, type: type) } }
        return fewRowsProducts(x, projections, type: type)
    }

    private func product(_ x: Tensor, _ projection: Projection, type: ElementType) -> Tensor {
        let (weight, update, term, epilogue) = (
            projection.weight, projection.update, projection.term, projection.epilogue
        )
        precondition(x.columns == weight.columns, "product of \(x.shape) with transposed [\(weight.rows), \(weight.columns)]")
        let y = empty(x.shape(columns: weight.rows), type)
        if let tiles, update == nil {
            tileProduct(x, transposed: weight, plus: term, into: y, on: tiles, epilogue)
            return y
        }
        forEachPanel(of: weight, adding: update) { panel, values in
            forEachTile(TileGrid.tiles(rows: x.rows, columns: panel.count)) { rows, within in
                let columns = panel.lowerBound + within.lowerBound..<panel.lowerBound + within.upperBound
                let part = MatrixPointer(values + within.lowerBound * weight.columns, stride: weight.columns)
                withOperand(x, rows) { operand in
                    withResult(y, rows, columns) { target, stride in
                        sgemm(rows.count, columns.count, x.columns, operand, part.transposed, into: target, stride: stride)
                        epilogue?(rows, columns, target, stride)
                        term?.add(rows, columns, to: target, stride: stride)
                    }
                }
            }
        }
        return y
    }

    /// `dx[rows, inputs] = dy[rows, outputs] · weight`: the gradient of the line above with respect to `x`.
    package func product(
        _ dy: Tensor, _ weight: Weight, adding update: WeightUpdate? = nil, plus term: ThinTerm? = nil,
        type: ElementType = .float32, epilogue: Epilogue? = nil
    ) -> Tensor {
        precondition(dy.columns == weight.rows, "product of \(dy.shape) with [\(weight.rows), \(weight.columns)]")
        if let tiles, update == nil, dy.rows >= Self.fewRows {
            return tileProduct(dy, weight, plus: term, type: type, on: tiles, epilogue)
        }
        let result = empty(dy.shape(columns: weight.columns))
        let grid = TileGrid.tiles(rows: dy.rows, columns: weight.columns)
        forEachPanel(of: weight, adding: update) { panel, values in
            forEachTile(grid) { rows, columns in
                withOperand(dy, rows, columns: panel) { operand in
                    let target = result.output + rows.lowerBound * weight.columns + columns.lowerBound
                    sgemm(
                        rows.count, columns.count, panel.count, operand,
                        MatrixPointer(values + columns.lowerBound, stride: weight.columns),
                        beta: panel.lowerBound > 0 ? 1 : 0, into: target, stride: weight.columns)
                    if panel.upperBound == weight.rows {
                        epilogue?(rows, columns, target, weight.columns)
                        term?.add(rows, columns, to: target, stride: weight.columns)
                    }
                }
            }
        }
        return converted(result, to: type)
    }

    /// A tensor as a product sees it: dense float32 elements, rounded to bfloat16 if the precision says so.
    package func rounded(_ tensor: Tensor) -> Tensor {
        if tensor.elementType == .float32 && precision == .float32 { return converted(tensor, to: .float32) }
        return converted(converted(tensor, to: .bfloat16), to: .float32)
    }
}

extension Compute {
    func forEachTile(
        _ grid: (rows: [Range<Int>], columns: [Range<Int>]), _ body: (Range<Int>, Range<Int>) -> Void
    ) {
        let (rows, columns) = grid
        threads.run(tiles: rows.count * columns.count) { tile in
            body(rows[tile / columns.count], columns[tile % columns.count])
        }
    }

    /// Calls `body` with panel after panel of the weight as float32 `[panel.count, columns]`.
    private func forEachPanel(
        of weight: Weight, adding update: WeightUpdate?, _ body: (Range<Int>, UnsafePointer<Float>) -> Void
    ) {
        if precision == .float32, update == nil, let pointer = weight.float32Pointer {
            return body(0..<weight.rows, pointer)
        }
        let panels = TileGrid.panels(rows: weight.rows, columns: weight.columns)
        let most = panels.map(\.count).max() ?? 0
        withScratch(most * weight.columns) { scratch in
            for panel in panels {
                let parts = TileGrid.pieces(panel.count, target: 64)
                threads.run(tiles: parts.count) { part in
                    let rows = panel.lowerBound + parts[part].lowerBound..<panel.lowerBound + parts[part].upperBound
                    let start = scratch + parts[part].lowerBound * weight.columns
                    weight.expand(rows: rows, precision: precision, into: start)
                    update?.add(to: start, rows: rows)
                }
                body(panel, scratch)
            }
        }
    }

    /// Some columns of rows of the activations as a product sees them: float32, where they lie if they need no rounding.
    func withOperand(
        _ x: Tensor, _ rows: Range<Int>, columns: Range<Int>? = nil, _ body: (MatrixPointer) -> Void
    ) {
        let part = columns ?? 0..<x.columns
        let at = rows.lowerBound * x.rowStride + part.lowerBound
        if x.elementType == .float32 && precision == .float32 {
            return body(MatrixPointer(x.floatRows + at, stride: x.rowStride))
        }
        // Rows that follow each other without a gap are one run of elements.
        let (runs, length) = part.count == x.rowStride ? (1, rows.count * part.count) : (rows.count, part.count)
        withScratch(rows.count * part.count) { scratch in
            for run in 0..<runs {
                let (from, to) = (at + run * x.rowStride, scratch + run * length)
                switch x.elementType {
                case .float32: martlet_round_to_bfloat16(Int64(length), x.floatRows + from, to)
                case .bfloat16: martlet_from_bfloat16(Int64(length), x.bfloatRows + from, to)
                }
            }
            body(MatrixPointer(scratch, stride: part.count))
        }
    }

    /// Memory for a tile of the result: in place for float32, else scratch that is rounded into place afterwards.
    func withResult(
        _ y: Tensor, _ rows: Range<Int>, _ columns: Range<Int>, _ body: (UnsafeMutablePointer<Float>, Int) -> Void
    ) {
        let start = rows.lowerBound * y.columns + columns.lowerBound
        if y.elementType == .float32 { return body(y.output + start, y.columns) }
        withScratch(rows.count * columns.count) { scratch in
            body(scratch, columns.count)
            for row in 0..<rows.count {
                martlet_to_bfloat16(
                    Int64(columns.count), scratch + row * columns.count, y.bfloatOutput + start + row * y.columns)
            }
        }
    }
}
