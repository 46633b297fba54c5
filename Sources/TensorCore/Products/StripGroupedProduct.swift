import CKernels

/// Grouped products over strips, for float16: the thread that computes a panel packs the weights under it.
extension Compute {
    /// Whether packing weights in float16 costs less than it saves: a function of the rows of the groups that have any.
    func packsGroups(_ offsets: [Int]) -> Bool {
        multipliesFloat16 && (offsets.last ?? 0) >= Self.fewestPacked * GroupedPanel.groupsReached(offsets)
    }

    static let fewestPacked = 32

    /// Adds the contribution of one block of weights to a panel; the first one sets it.
    func stripProduct(
        _ x: Tensor, _ panel: GroupedPanel, _ piece: GroupedPanel.Piece, into target: UnsafeMutablePointer<Float>,
        stride: Int
    ) {
        let form = StripForm.float16
        withStrips(of: piece, as: form) { right in
            var product = martlet_strip_product(x, row: panel.rows.lowerBound, column: piece.operandColumn, form)
            (product.rows, product.columns) = (Int64(panel.rows.count), Int64(panel.columns.count))
            (product.depth, product.right) = (Int64(piece.depth), right)
            (product.result, product.result_stride) = (target, Int64(stride))
            product.accumulate = piece.isFirst ? 0 : 1
            form.multiply(&product)
        }
    }

    /// Calls `body` with a block of weights in strips.
    func withStrips(of piece: GroupedPanel.Piece, as form: StripForm, _ body: (UnsafeRawPointer) -> Void) {
        let width = piece.isTransposed ? piece.storedRows.count : piece.storedColumns.count
        withScratch(form.count(width, depth: piece.depth)) { strips in
            if piece.isTransposed {
                packStripsOfRows(piece.weight, adding: nil, rows: piece.storedRows, as: form, into: strips)
            } else {
                packStripsOfColumns(
                    piece.weight, adding: nil, rows: piece.storedRows, columns: piece.storedColumns, as: form,
                    into: strips)
            }
            body(UnsafeRawPointer(strips))
        }
    }
}
