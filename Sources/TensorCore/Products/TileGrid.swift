/// How a product is cut into tiles: a function of shapes only, so that every thread count gives the same bits; but for
/// packed products, where no cut changes a bit.
package enum TileGrid {
    /// Elements of a weight that are expanded at a time: 8 MB as float32.
    static let panelElements = 1 << 21

    /// Cuts a result of `rows` × `columns` into tiles of at most about 256 × 512, and into about eight where that leaves
    /// tiles large enough to be worth it, so that threads stay busy to the end.
    static func tiles(rows: Int, columns: Int) -> (rows: [Range<Int>], columns: [Range<Int>]) {
        var (height, width) = (256, 512)
        func count(_ size: Int, _ target: Int) -> Int { max(1, (size + target / 2) / target) }
        while count(rows, height) * count(columns, width) < 8, max(height, width) > 128 {
            if width > height { width /= 2 } else { height /= 2 }
        }
        return (pieces(rows, target: height), pieces(columns, target: width))
    }

    /// Cuts `0..<count` into pieces of about `target`, on multiples of `step` where there is room.
    package static func pieces(_ count: Int, target: Int, step: Int = 64) -> [Range<Int>] {
        let number = max(1, (count + target / 2) / target)
        let even = (count + number - 1) / number
        let size = max(1, even > step ? (even + step - 1) / step * step : even)
        return stride(from: 0, to: count, by: size).map { $0..<min(count, $0 + size) }
    }

    /// Cuts the rows of a weight with `columns` columns into panels that begin at multiples of 64.
    package static func panels(rows: Int, columns: Int) -> [Range<Int>] {
        let most = max(128, panelElements / max(1, columns) / 64 * 64)
        return rows <= most ? [0..<rows] : pieces(rows, target: most)
    }

    /// Cuts the result of a packed product into what threads take one after another: columns, whose panel of the right operand a thread
    /// packs for itself, and rows that run over it. Every thread gets as many; rows are cut, and panels packed for
    /// each part, only where columns are too few.
    /// - Parameters:
    ///   - unit: says how many columns of the right operand are packed side by side, and how many make a panel.
    ///   - block: elements on whose multiples a range of columns should begin.
    package static func items(
        rows: Int, columns: Int, depth: Int, on unit: ProductUnit, block: Int = 1, threads: Int
    ) -> [(rows: Range<Int>, columns: Range<Int>)] {
        // About 2 MB of panel, if that is not too narrow to be worth packing for.
        let widest = min(unit.widestPanel, max(128, (1 << 20) / max(1, depth)))
        let step = (unit.columnStep + block - 1) / block * block
        let hasManyRows = rows >= 256 * threads, narrowest = hasManyRows ? unit.narrowestPanel : 64
        var number = max((columns + widest - 1) / widest, min(threads, columns / narrowest), 1)
        if number < 16 * threads {
            while number % threads != 0 && !(hasManyRows && threads % number == 0) { number += 1 }
        }
        let parts = parts(of: columns, step: step, number: number)
        let heights = max(1, min(threads / max(1, parts.count), rows / 256))
        let height = max(1, ((rows + heights - 1) / heights + 31) / 32) * 32
        return parts.flatMap { columns in
            Self.heights(of: 0..<rows, at: height).map { (rows: $0, columns: columns) }
        }
    }

    /// Cuts columns into `number` parts whose bounds are multiples of `step` and which are as wide as each other or a step wider,
    /// the wider ones first; fewer if there are not as many steps.
    private static func parts(of columns: Int, step: Int, number: Int) -> [Range<Int>] {
        let steps = (columns + step - 1) / step, number = min(number, steps)
        return (0..<number).map { part in
            let bounds = [part, part + 1].map { $0 * (steps / number) + min($0, steps % number) }
            return bounds[0] * step..<min(columns, bounds[1] * step)
        }
    }

    /// Cuts rows into pieces of at most `height`.
    package static func heights(of rows: Range<Int>, at height: Int) -> [Range<Int>] {
        stride(from: rows.lowerBound, to: rows.upperBound, by: height).map { $0..<min(rows.upperBound, $0 + height) }
    }

    /// Elements of a left operand that are packed at once; more are packed as far as a panel of the weight needs them.
    static let mostPackedElements = 1 << 22

    /// Cuts the stored rows of a group into panels of the result, `depth` elements each.
    /// - Parameters:
    ///   - elements: of the weight in a panel, about.
    ///   - step: how many stored rows are packed side by side.
    static func groupedPanels(rows: Int, depth: Int, elements: Int, step: Int) -> [Range<Int>] {
        pieces(rows, target: min(512, max(step, elements / max(1, depth) / step * step)), step: step)
    }

    /// Elements of the result that a panel over stored columns has, if its group has few rows.
    private static let groupedResultElements = 1 << 16

    /// Cuts the stored columns of a group with `rows` rows into panels of the result that end with blocks of the format.
    /// The fewer the rows, the wider: whole rows of a weight are expanded faster than pieces of them.
    static func groupedPanels(rows: Int, columns: Int, block: Int) -> [Range<Int>] {
        let target = max(256, groupedResultElements / max(1, rows))
        let number = max(1, (columns + target / 2) / target)
        let size = ((columns + number - 1) / number + block - 1) / block * block
        return stride(from: 0, to: columns, by: size).map { $0..<min(columns, $0 + size) }
    }
}
