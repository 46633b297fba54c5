import CKernels

/// Products of activations with weights: the one seam behind which weights are expanded and kernels chosen.
///
/// On tiles and wide vectors a thread packs what it needs of a weight for itself (`PackedProduct.swift`). Else
/// weights are walked in panels of rows: a panel is expanded once, by all threads, and then all rows of the activations run
/// over it, tile by tile, by the library. A weight that lies as float32 is used where it lies.
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
        let y = empty(x.shape(columns: projection.weight.rows), type)
        forEachTile(of: [projection], over: x) { rows, columns, fill in
            withResult(y, rows, columns) { fill(0, $0, $1) }
        }
        return y
    }

    /// No two tiles of the product below begin within the same so many columns.
    package static let sharedTileStep = 64

    /// `x · weightᵀ` in tiles that depend on shapes only, so that sums over a tile do, too.
    /// - Parameters:
    ///   - y: where the product goes; its rows may lie apart. `nil`: nowhere.
    ///   - body: is given each tile while it is in cache, and may change it.
    package func product(_ x: Tensor, transposed weight: Weight, into y: Tensor?, _ body: Epilogue) {
        if x.rows < Self.fewRows {
            let (rows, columns, whole) = (0..<x.rows, 0..<weight.rows, product(x, transposed: weight))
            return withResult(y, rows, columns) { target, stride in
                for row in rows {
                    (target + row * stride).update(from: whole.floats + row * weight.rows, count: weight.rows)
                }
                body(rows, columns, target, stride)
            }
        }
        forEachTile(of: [Projection(weight)], over: x, cutFor: 1) { rows, columns, fill in
            withResult(y, rows, columns) { target, stride in
                fill(0, target, stride)
                body(rows, columns, target, stride)
            }
        }
    }

    /// Two products over the same activations that meet tile by tile, while both are in cache.
    /// - Parameters:
    ///   - pair: two weights of one shape.
    ///   - kept: where the products go, rounded to its type; `nil` drops them.
    ///   - body: is given rows and columns of a tile, and both products there.
    package func products(
        _ x: Tensor, meeting pair: (Projection, Projection), keptIn kept: (Tensor, Tensor)?,
        _ body: (_ rows: Range<Int>, _ columns: Range<Int>, ResultTile, ResultTile) -> Void
    ) {
        let projections = [pair.0, pair.1]
        if x.rows < Self.fewRows {
            let (rows, columns) = (0..<x.rows, 0..<pair.0.weight.rows)
            let found = products(x, 2) { projections[$0] }
            body(rows, columns, ResultTile(found[0]), ResultTile(found[1]))
            if let kept { for (value, copy) in [(found[0], kept.0), (found[1], kept.1)] { copyRows(value, rows, to: copy) } }
            return
        }
        forEachTile(of: projections, over: x) { rows, columns, fill in
            withResult(kept?.0, rows, columns) { first, firstStride in
                withResult(kept?.1, rows, columns) { second, secondStride in
                    fill(0, first, firstStride)
                    fill(1, second, secondStride)
                    body(
                        rows, columns, ResultTile(start: first, stride: firstStride),
                        ResultTile(start: second, stride: secondStride))
                }
            }
        }
    }

    /// Walks over the tiles of products of the same activations with weights of one shape. `body` is given a function that
    /// writes the tile of one of them, with all that belongs to it.
    /// - Parameter threads: for how many the tiles are cut.
    private func forEachTile(
        of projections: [Projection], over x: Tensor, cutFor threads: Int? = nil,
        _ body: (Range<Int>, Range<Int>, _ fill: (Int, UnsafeMutablePointer<Float>, Int) -> Void) -> Void
    ) {
        let shape = (rows: projections[0].weight.rows, columns: projections[0].weight.columns)
        for weight in projections.map(\.weight) {
            precondition(
                weight.rows == shape.rows && weight.columns == shape.columns && weight.columns == x.columns,
                "product of \(x.shape) with transposed [\(weight.rows), \(weight.columns)]")
        }
        if let unit = unit(updates: projections.map(\.update)) {
            return forEachPackedTile(of: projections, over: x, on: unit, cutFor: threads ?? self.threads.threadCount, body)
        }
        forEachPanel(of: projections.map { ($0.weight, $0.update) }) { panel, values in
            forEachTile(TileGrid.tiles(rows: x.rows, columns: panel.count)) { rows, within in
                let columns = panel.lowerBound + within.lowerBound..<panel.lowerBound + within.upperBound
                withOperand(x, rows) { operand in
                    body(rows, columns) { index, target, stride in
                        let part = MatrixPointer(values[index] + within.lowerBound * x.columns, stride: x.columns)
                        sgemm(rows.count, columns.count, x.columns, operand, part.transposed, into: target, stride: stride)
                        projections[index].epilogue?(rows, columns, target, stride)
                        projections[index].term?.add(rows, columns, to: target, stride: stride)
                    }
                }
            }
        }
    }

    /// `dx[rows, inputs] = dy[rows, outputs] · weight`: the gradient of `x · weightᵀ` with respect to `x`.
    package func product(_ dy: Tensor, _ weight: Weight, plus term: ThinTerm? = nil, type: ElementType = .float32) -> Tensor {
        product([BackProjection(dy, weight, plus: term, on: self)], type: type)
    }

    /// The same added to a sum that nobody else holds, or put there if there is none yet.
    package func product(_ dy: Tensor, _ weight: Weight, addedTo sum: inout Tensor?) {
        var before = sum
        sum = nil
        precondition(before?.mayChange() ?? true, "a product added to a shared tensor")
        precondition(before.map { $0.shape == dy.shape(columns: weight.columns) } ?? true, "a product added to another shape")
        sum = product([BackProjection(dy, weight, on: self)], addedTo: before)
    }

    /// The sum of the ways back to one input, `[rows, inputs]`, in their order.
    /// - Parameter sum: what it is added to, float32, and comes back as.
    package func product(_ ways: [BackProjection], addedTo sum: Tensor? = nil, type: ElementType = .float32) -> Tensor {
        let (dy, width) = (ways[0].dy, ways[0].weight.columns)
        if dy.rows >= Self.fewRows, let unit = unit(updates: ways.map(\.update)) {
            return packedProduct(ways, addedTo: sum, type: type, on: unit)
        }
        let result = sum ?? empty(dy.shape(columns: width))
        let grid = TileGrid.tiles(rows: dy.rows, columns: width)
        for (index, way) in ways.enumerated() {
            forEachPanel(of: [(way.weight, way.update)]) { panel, values in
                forEachTile(grid) { rows, columns in
                    withOperand(way.dy, rows, columns: panel) { operand in
                        let target = result.output + rows.lowerBound * width + columns.lowerBound
                        sgemm(
                            rows.count, columns.count, panel.count, operand,
                            MatrixPointer(values[0] + columns.lowerBound, stride: width),
                            beta: sum != nil || index > 0 || panel.lowerBound > 0 ? 1 : 0, into: target, stride: width)
                        if panel.upperBound == way.weight.rows {
                            way.epilogue?(rows, columns, target, width)
                            way.term?.add(rows, columns, to: target, stride: width)
                        }
                    }
                }
            }
        }
        return converted(result, to: type)
    }

    /// A tensor as a product sees it: dense float32 elements, rounded to bfloat16 if the precision says so.
    package func rounded(_ tensor: Tensor) -> Tensor {
        if tensor.elementType == .bfloat16 || !roundsToBfloat16 { return converted(tensor, to: .float32) }
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

    /// Calls `body` with panel after panel of weights of one shape as float32 `[panel.count, columns]`.
    private func forEachPanel(
        of weights: [(Weight, WeightUpdate?)], _ body: (Range<Int>, [UnsafePointer<Float>]) -> Void
    ) {
        let (rows, columns) = (weights[0].0.rows, weights[0].0.columns)
        let pointers = weights.compactMap { weight, update in update == nil ? weight.float32Pointer : nil }
        if !roundsToBfloat16, pointers.count == weights.count { return body(0..<rows, pointers) }
        let panels = TileGrid.panels(rows: rows, columns: columns * weights.count)
        let most = panels.map(\.count).max() ?? 0
        withScratch(weights.count * most * columns) { scratch in
            for panel in panels {
                let parts = TileGrid.pieces(panel.count, target: 64)
                threads.run(tiles: parts.count * weights.count) { tile in
                    let ((weight, update), part) = (weights[tile / parts.count], parts[tile % parts.count])
                    let start = scratch + (tile / parts.count * most + part.lowerBound) * columns
                    let rows = panel.lowerBound + part.lowerBound..<panel.lowerBound + part.upperBound
                    weight.expand(rows: rows, precision: operandPrecision, into: start)
                    update?.add(to: start, rows: rows, columns: 0..<columns)
                }
                body(panel, weights.indices.map { UnsafePointer(scratch + $0 * most * columns) })
            }
        }
    }

    /// Some columns of rows of the activations as a product sees them: float32, where they lie if they need no rounding.
    func withOperand(
        _ x: Tensor, _ rows: Range<Int>, columns: Range<Int>? = nil, _ body: (MatrixPointer) -> Void
    ) {
        let part = columns ?? 0..<x.columns
        let at = rows.lowerBound * x.rowStride + part.lowerBound
        if x.elementType == .float32 && !roundsToBfloat16 {
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

    /// Memory for a tile of the result: in place for float32, else scratch that is rounded into place afterwards, or that
    /// goes nowhere.
    func withResult(
        _ y: Tensor?, _ rows: Range<Int>, _ columns: Range<Int>, _ body: (UnsafeMutablePointer<Float>, Int) -> Void
    ) {
        if let y, y.elementType == .float32 {
            let target = UnsafeMutablePointer(mutating: y.floatRows)
            return body(target + rows.lowerBound * y.rowStride + columns.lowerBound, y.rowStride)
        }
        withScratch(rows.count * columns.count) { scratch in
            body(scratch, columns.count)
            guard let y else { return }
            let target = UnsafeMutablePointer(mutating: y.bfloatRows) + rows.lowerBound * y.rowStride + columns.lowerBound
            let (width, stride) = (Int64(columns.count), Int64(y.rowStride))
            martlet_rows_to_bfloat16(Int64(rows.count), width, scratch, width, target, stride)
        }
    }
}

/// A tile of a product while it is in cache.
package struct ResultTile {
    private let start: UnsafePointer<Float>
    private let stride: Int

    init(start: UnsafePointer<Float>, stride: Int) { (self.start, self.stride) = (start, stride) }

    fileprivate init(_ whole: Tensor) { self.init(start: whole.floats, stride: whole.columns) }

    /// A row of the tile.
    package func row(_ index: Int) -> UnsafePointer<Float> { start + index * stride }
}
