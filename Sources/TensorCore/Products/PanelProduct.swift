import CKernels

/// Grouped products in float32 with panels that have just been expanded into the cache.
extension Compute {
    /// Adds the contribution of a block whose rows meet the depth; the first one sets the panel.
    func panelProduct(
        _ x: Tensor, _ panel: GroupedPanel, _ piece: GroupedPanel.Piece, into target: UnsafeMutablePointer<Float>,
        stride: Int
    ) {
        withBlock(piece) { block in
            forEachOperand(x, panel, piece) { rows, operand in
                let part = target + (rows.lowerBound - panel.rows.lowerBound) * stride
                var product = martlet_panel_product(rows, panel, piece, block, into: part, stride: stride)
                (product.x, product.x_stride) = (operand.start, Int64(operand.stride))
                martlet_panel_product(&product)
            }
        }
    }

    /// The same for a block whose rows are columns of the result: strips of transposed rows, and those left over as
    /// they are.
    func panelProduct(
        _ x: TransposedRows, _ panel: GroupedPanel, _ piece: GroupedPanel.Piece,
        into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        withBlock(piece) { block in
            for strip in x.strips[panel.group] {
                let part = target + (strip.rows.lowerBound - panel.rows.lowerBound) * stride
                var product = martlet_panel_product(strip.rows, panel, piece, block, into: part, stride: stride)
                (product.x, product.x_stride) = (x.start(strip, column: piece.operandColumn), Int64(strip.width))
                martlet_panel_product_transposed(&product)
            }
            let rest = x.rest[panel.group]
            if rest.isEmpty { return }
            withOperand(x.rows, rest, columns: piece.operandColumns) { rows in
                fewProducts(
                    rest.count, panel.columns.count, piece.depth, rows, block, accumulate: !piece.isFirst,
                    into: target + (rest.lowerBound - panel.rows.lowerBound) * stride, stride: stride)
            }
        }
    }
}

/// `out[rows, columns] = x[rows, depth] · weightᵀ`, or added to it, on the calling thread, for few rows or few columns.
func fewProducts(
    _ rows: Int, _ columns: Int, _ depth: Int, _ x: MatrixPointer, _ weight: MatrixPointer, accumulate: Bool = false,
    into out: UnsafeMutablePointer<Float>, stride: Int
) {
    var product = martlet_panel_product()
    (product.rows, product.columns, product.depth) = (Int64(rows), Int64(columns), Int64(depth))
    (product.x, product.x_stride) = (x.start, Int64(x.stride))
    (product.weight, product.weight_stride) = (weight.start, Int64(weight.stride))
    (product.result, product.result_stride, product.accumulate) = (out, Int64(stride), accumulate ? 1 : 0)
    martlet_panel_product_few(&product)
}

extension martlet_panel_product {
    /// A product of rows that are still to be named.
    fileprivate init(
        _ rows: Range<Int>, _ panel: GroupedPanel, _ piece: GroupedPanel.Piece, _ block: MatrixPointer,
        into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        self.init()
        (self.rows, columns, depth) = (Int64(rows.count), Int64(panel.columns.count), Int64(piece.depth))
        (weight, weight_stride) = (block.start, Int64(block.stride))
        (result, result_stride) = (target, Int64(stride))
        accumulate = piece.isFirst ? 0 : 1
    }
}
