/// How a product is cut into tiles: a function of shapes only, so that every thread count gives the same bits.
enum TileGrid {
    /// Rows of activations in a tile.
    static let rowTarget = 256
    /// Columns of the result in a tile.
    static let columnTarget = 512
    /// Elements of a weight that are expanded at a time: 8 MB as float32.
    static let panelElements = 1 << 21

    /// Cuts `0..<count` into pieces of about `target`, on multiples of 64 where there is room.
    static func pieces(_ count: Int, target: Int) -> [Range<Int>] {
        let number = max(1, (count + target / 2) / target)
        let even = (count + number - 1) / number
        let size = max(1, even > 64 ? (even + 63) / 64 * 64 : even)
        return stride(from: 0, to: count, by: size).map { $0..<min(count, $0 + size) }
    }

    /// Cuts the rows of a weight with `columns` columns into panels.
    static func panels(rows: Int, columns: Int) -> [Range<Int>] {
        let most = max(64, panelElements / max(1, columns) / 64 * 64)
        return rows <= most ? [0..<rows] : pieces(rows, target: most)
    }
}
