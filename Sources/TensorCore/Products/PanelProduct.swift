import CKernels

/// Grouped products in float32 with panels that have just been expanded into the cache.
extension Compute {
    /// Adds the contribution of a block whose rows meet the depth; the first one sets the panel.
    func panelProduct(
        _ x: Tensor, _ panel: GroupedPanel, _ piece: GroupedPanel.Piece, _ block: MatrixPointer,
        into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        forEachOperand(x, panel, piece) { rows, operand in
            let part = target + (rows.lowerBound - panel.rows.lowerBound) * stride
            var product = martlet_panel_product(rows, panel, piece, block, into: part, stride: stride)
            (product.x, product.x_stride) = (operand.start, Int64(operand.stride))
            martlet_panel_product(&product)
        }
    }

    /// The same for a block whose rows are columns of the result.
    func panelProduct(
        _ x: TransposedRows, _ panel: GroupedPanel, _ piece: GroupedPanel.Piece, _ block: MatrixPointer,
        into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        for strip in x.strips[panel.group] {
            let part = target + (strip.rows.lowerBound - panel.rows.lowerBound) * stride
            var product = martlet_panel_product(strip.rows, panel, piece, block, into: part, stride: stride)
            (product.x, product.x_stride) = (x.start(strip, column: piece.operandColumn), Int64(strip.width))
            martlet_panel_product_transposed(&product)
        }
    }
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
