import CKernels

/// Rows in groups as the thin products of their adapters read them: as the tiles that the products of the groups' weights
/// read, or as float32.
package final class ThinOperand {
    private enum Form {
        case floats(Tensor)
        case tiles(TileRows, TileUnit)
    }

    private let form: Form
    private let offsets: [Int]
    private let compute: Compute

    /// - Parameters:
    ///   - offsets: group g has the rows `offsets[g]..<offsets[g + 1]` of `x`.
    ///   - columns: those that products will begin with.
    package init(_ x: Tensor, offsets: [Int], columns: [Int], on compute: Compute) {
        (self.offsets, self.compute) = (offsets, compute)
        if let unit = compute.tiles, columns.allSatisfy({ $0 % TilePack.depth == 0 }) {
            form = .tiles(compute.tileRows(x, offsets: offsets), unit)
        } else {
            form = .floats(compute.rounded(x))
        }
    }

    /// `h[rows, rank] = scale · x[rows, columns] · factorᵀ` on the calling thread.
    /// - Parameters:
    ///   - rows: some of the group's, from a multiple of 16 on.
    ///   - factor: `[rank, columns]`.
    package func project(
        group: Int, rows: Range<Int>, columns: Range<Int>, rank: Int, scale: Float, _ factor: MatrixPointer,
        into h: UnsafeMutablePointer<Float>
    ) {
        switch form {
        case .floats(let x):
            compute.thinProject(
                rows: rows.count, columns: columns.count, rank: rank, scale: scale, part(of: x, rows, columns), factor,
                into: h)
        case .tiles(let tiles, let unit):
            let left = tiles.operand(group: group, row: rows.lowerBound - offsets[group], column: columns.lowerBound)
            compute.multiply(
                left, TileSource(factor.transposed), rows: rows.count, columns: rank, depth: columns.count,
                accumulate: false, into: h, stride: rank, on: unit)
            martlet_scale(Int64(rows.count * rank), scale, h, h)
        }
    }

    /// `out[rank, columns] = gᵀ · x[…, columns]` over the rows of a group, or added to it, on the calling thread.
    /// - Parameter g: `[rows, rank]`.
    package func gradient(
        group: Int, columns: Range<Int>, rank: Int, _ g: UnsafePointer<Float>, into out: StridedTarget
    ) {
        let rows = offsets[group]..<offsets[group + 1]
        switch form {
        case .floats(let x):
            compute.thinGradient(
                rows: rows.count, columns: columns.count, rank: rank, g, part(of: x, rows, columns), into: out)
        case .tiles(let tiles, let unit):
            let right = tiles.rightOperand(group: group, column: columns.lowerBound)
            func product(_ body: (Int, UnsafePointer<Float>) -> Void) {
                compute.multiplySpread(
                    g, right, rows: rows.count, rank: rank, columns: columns.count, on: unit, body)
            }
            if out.inPlace != nil { return product { out.putRow($0, $1, count: columns.count) } }
            compute.withScratch(rank * columns.count) { sum in
                product { (sum + $0 * columns.count).update(from: $1, count: columns.count) }
                out.put(sum, rows: rank, columns: columns.count)
            }
        }
    }

    private func part(of x: Tensor, _ rows: Range<Int>, _ columns: Range<Int>) -> MatrixPointer {
        MatrixPointer(x.floats + rows.lowerBound * x.columns + columns.lowerBound, stride: x.columns)
    }
}
