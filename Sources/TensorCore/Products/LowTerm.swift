import CKernels

/// Some columns of a matrix, in rising order, and what rounding to bfloat16 takes from them, `[rows, columns]`.
struct LowParts: Sendable {
    let columns: [Int32]
    let values: Tensor
}

/// What rounding an operand to bfloat16 takes away, given back where it is most.
///
/// A few columns of a model's activations are many times as large as the others, and so are their rounding errors.
/// Those columns are multiplied once more with what rounding took from them, as a few more tiles along the depth of the
/// product.
extension Compute {
    /// One of so many columns is given back.
    private static let columnsForEach = 8
    /// Rows that tell which columns are the largest.
    private static let sampledRows = 256

    /// Takes what a ``lowTerm(_:transposed:beside:)`` will need of `x`, in one reading with packing it for its products.
    /// - Parameter rank: of the term beside.
    package func prepareLowTerm(_ x: Tensor, besideRank rank: Int) {
        if givesBack(x) { _ = lowParts(of: x, count: lowColumns(of: x, beside: rank)) }
    }

    /// The term and `(x − rounded x) · weightᵀ` over the largest columns of `x`, as one; just the term if `x` is not
    /// rounded or too few rows run over the weight to pay for reading it twice.
    package func lowTerm(_ x: Tensor, transposed weight: Weight, beside term: ThinTerm?) -> ThinTerm? {
        guard givesBack(x) else { return term }
        let rank = term?.rank ?? 0
        let low = lowParts(of: x, count: lowColumns(of: x, beside: rank))
        let width = rank + low.columns.count
        let (left, right) = (empty([x.rows, width]), empty([weight.rows, width]))
        let (thin, scale) = (term?.left.floats, term?.scale ?? 1)
        forEachRowBlock(of: x.rows, rowElements: x.columns) { rows in
            for row in rows {
                let target = left.output + row * width
                if let thin { martlet_scale(Int64(rank), scale, thin + row * rank, target) }
                (target + rank).update(from: low.values.floats + row * low.columns.count, count: low.columns.count)
            }
        }
        let parts = TileGrid.pieces(weight.rows, target: 64)
        threads.run(tiles: parts.count) { part in
            let target = right.output + parts[part].lowerBound * width
            gather(low.columns, of: weight, rows: parts[part], into: target + rank, stride: width)
            term?.copyRight(parts[part], into: target, stride: width)
        }
        return ThinTerm(left, right, isTransposed: true)
    }

    private func givesBack(_ x: Tensor) -> Bool {
        roundsToBfloat16 && x.elementType == .float32 && x.rows >= Self.fewRows
    }

    /// Columns to give back: a share of them, and what fills the last tile along the depth.
    private func lowColumns(of x: Tensor, beside rank: Int) -> Int {
        let (wanted, tile) = ((x.columns + Self.columnsForEach - 1) / Self.columnsForEach, TilePack.depth)
        return min(x.columns, (rank + wanted + tile - 1) / tile * tile - rank)
    }

    /// The largest columns of `x` and what rounding takes from them. Layers over the same input share them.
    private func lowParts(of x: Tensor, count: Int) -> LowParts {
        if let recent = recentLowParts.find(x), recent.columns.count == count { return recent }
        recentLowParts.clear()
        let (columns, values) = (largestColumns(of: x, count: count), empty([x.rows, count]))
        let take = { (rows: Range<Int>) in
            self.readRows(x, rows) { rowsOfX in
                let target = values.output + rows.lowerBound * count
                self.gather(columns, rows.count, rowsOfX, stride: x.columns, into: target, stride: count)
                martlet_low_part(Int64(rows.count * count), target, target)
            }
        }
        if tiles != nil, tileRowsAtHand(x) == nil {
            _ = tileRows(x, alongside: take)
        } else {
            forEachRowBlock(of: x.rows, rowElements: x.columns, take)
        }
        let parts = LowParts(columns: columns, values: values)
        recentLowParts.keep(parts, of: x)
        return parts
    }

    /// Some columns of rows of a weight, as the precision sees them.
    private func gather(
        _ columns: [Int32], of weight: Weight, rows: Range<Int>, into y: UnsafeMutablePointer<Float>, stride: Int
    ) {
        if let start = weight.bfloat16Pointer {
            return martlet_gather_columns_bf16(
                Int64(rows.count), Int64(columns.count), columns, start + rows.lowerBound * weight.columns,
                Int64(weight.columns), y, Int64(stride))
        }
        withScratch(rows.count * weight.columns) { values in
            weight.expand(rows: rows, precision: operandPrecision, into: values)
            gather(columns, rows.count, values, stride: weight.columns, into: y, stride: stride)
        }
    }

    private func gather(
        _ columns: [Int32], _ rows: Int, _ x: UnsafePointer<Float>, stride: Int, into y: UnsafeMutablePointer<Float>,
        stride yStride: Int
    ) {
        martlet_gather_columns(Int64(rows), Int64(columns.count), columns, x, Int64(stride), y, Int64(yStride))
    }

    /// The columns with the largest sums of squares, in rising order.
    private func largestColumns(of x: Tensor, count: Int) -> [Int32] {
        let width = x.columns
        let sums = withScratch(2 * width) { squares in
            let sum = squares + width
            sum.update(repeating: 0, count: width)
            for row in stride(from: 0, to: x.rows, by: max(1, x.rows / Self.sampledRows)) {
                readRows(x, row..<row + 1) { values in
                    martlet_multiply(Int64(width), values, values, squares)
                    martlet_add(Int64(width), sum, squares, sum)
                }
            }
            return Array(UnsafeBufferPointer(start: sum, count: width))
        }
        // Equal columns in their order, so that the choice is always the same.
        let order = sums.indices.sorted { (sums[$0], $1) > (sums[$1], $0) }
        return order.prefix(count).sorted().map { Int32($0) }
    }
}
