import CKernels

/// Rows of activations, transposed in strips, group by group: what panels meet whose rows are columns of the result.
struct TransposedRows: Sendable {
    struct Strip: Sendable {
        /// Rows of the matrix.
        let rows: Range<Int>
        /// The rows, and zeros up to a multiple of sixteen.
        var width: Int { (rows.count + 15) / 16 * 16 }
        /// Where its `[depth, width]` begins.
        fileprivate let start: Int
    }

    /// The strips of each group, and the rows behind them.
    let strips: [[Strip]], rest: [Range<Int>]
    /// The matrix.
    let rows: Tensor
    private let values: Tensor

    /// - Parameter offsets: group g has the rows `offsets[g]..<offsets[g + 1]` of `x`.
    init(_ x: Tensor, _ offsets: [Int], on compute: Compute) {
        var size = 0
        rows = x
        rest = zip(offsets, offsets.dropFirst()).map { first, end in end - Self.rest(of: end - first)..<end }
        strips = zip(offsets, rest).map { first, rest in
            Self.cut(first..<rest.lowerBound, depth: x.columns, from: &size)
        }
        values = compute.empty([size])
        let (all, values) = (strips.flatMap { $0 }, values)
        compute.threads.run(tiles: all.count) { index in
            let strip = all[index]
            compute.withOperand(x, strip.rows) { rows in
                martlet_transpose(
                    Int64(strip.rows.count), Int64(x.columns), rows.start, Int64(rows.stride), values.output + strip.start,
                    Int64(strip.width))
            }
        }
    }

    /// The element of a strip's first row in a column of the matrix.
    func start(_ strip: Strip, column: Int) -> UnsafePointer<Float> { values.floats + strip.start + column * strip.width }

    /// How many of a group's rows stay as they are: those that would fill no more than half of a vector's lanes, and
    /// all where there are so few that a strip would be narrow, which has too few sums under way.
    private static func rest(of count: Int) -> Int { count <= 24 ? count : count % 16 <= 8 ? count % 16 : 0 }

    /// Strips of about equal heights, at most 64 rows, in whole vectors but for the last.
    private static func cut(_ rows: Range<Int>, depth: Int, from size: inout Int) -> [Strip] {
        let count = max(1, (rows.count + 63) / 64)
        let height = ((rows.count + count - 1) / count + 15) / 16 * 16
        return stride(from: rows.lowerBound, to: rows.upperBound, by: max(16, height)).map { first in
            let strip = Strip(rows: first..<min(rows.upperBound, first + height), start: size)
            size += depth * strip.width
            return strip
        }
    }
}
