/// The rows that a grouped product multiplies, made ready by all threads for what multiplies them.
struct GroupedOperand: Sendable {
    enum Form: Sendable {
        /// Rows for the library.
        case library
        /// Rows for our own product with a panel.
        case panels
        /// The same for panels whose rows are columns of the result.
        case transposed(TransposedRows)
        /// Rows for tile registers.
        case tiles(TileRows, TileUnit)
    }

    /// The rows as they are.
    let x: Tensor
    let form: Form

    init(_ x: Tensor, _ offsets: [Int], for panels: [GroupedPanel], on compute: Compute) {
        self.x = x
        if let unit = compute.tiles {
            form = .tiles(compute.tileRows(x, offsets: offsets), unit)
        } else if InstructionSet.current != .avx512 {
            // Without the wide registers the library's products are as fast as ours, or faster.
            form = .library
        } else if panels.first?.pieces.first?.isTransposed == true {
            form = .transposed(TransposedRows(x, offsets, on: compute))
        } else {
            form = .panels
        }
    }
}
