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

    /// The strips of each group; none of groups with few rows.
    let strips: [[Strip]]
    private let values: Tensor

    /// - Parameter offsets: group g has the rows `offsets[g]..<offsets[g + 1]` of `x`.
    init(_ x: Tensor, _ offsets: [Int], on compute: Compute) {
        var size = 0
        strips = zip(offsets, offsets.dropFirst()).map { first, end in
            end - first < Compute.fewRows ? [] : Self.cut(first..<end, depth: x.columns, from: &size)
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

    /// Strips of about equal heights, at most 64 rows, in whole vectors but for the last.
    private static func cut(_ rows: Range<Int>, depth: Int, from size: inout Int) -> [Strip] {
        let count = (rows.count + 63) / 64
        let height = ((rows.count + count - 1) / count + 15) / 16 * 16
        return stride(from: rows.lowerBound, to: rows.upperBound, by: height).map { first in
            let strip = Strip(rows: first..<min(rows.upperBound, first + height), start: size)
            size += depth * strip.width
            return strip
        }
    }
}
