import CKernels
import TensorCore
import Testing

/// The thin products of adapters against plain loops in double precision.
struct LowRankTests {
    struct Size: Sendable { let rows, columns, rank: Int }
    static let sizes = [
        Size(rows: 1, columns: 1, rank: 1), Size(rows: 4, columns: 16, rank: 4), Size(rows: 7, columns: 33, rank: 5),
        Size(rows: 9, columns: 15, rank: 16), Size(rows: 130, columns: 65, rank: 17), Size(rows: 257, columns: 31, rank: 3),
    ]
    static let tolerance = 2e-5

    func expectClose(
        _ found: [Float], _ expected: [Double], within tolerance: Double = Self.tolerance, _ what: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let scale = expected.map(abs).max() ?? 0
        let worst = zip(found, expected).map { abs(Double($0) - $1) }.max() ?? 0
        #expect(found.count == expected.count && worst <= tolerance * max(scale, 1), "\(what)", sourceLocation: sourceLocation)
    }

    /// `Σ over k of left(i, k) · right(k, j)`
    func naive(_ rows: Int, _ columns: Int, _ inner: Int, _ left: (Int, Int) -> Float, _ right: (Int, Int) -> Float) -> [Double] {
        (0..<rows * columns).map { at in
            (0..<inner).reduce(0.0) { $0 + Double(left(at / columns, $1)) * Double(right($1, at % columns)) }
        }
    }

    @Test(arguments: sizes) func gradient(size: Size) {
        let (g, x) = (noise(size.rows * size.rank, 1), noise(size.rows * size.columns, 2))
        let expected = naive(size.rank, size.columns, size.rows, { g[$1 * size.rank + $0] }, { x[$0 * size.columns + $1] })
        for kernel in available(
            martlet_low_rank_gradient_portable, martlet_low_rank_gradient_avx2, martlet_low_rank_gradient_avx512)
        {
            for adding in [true, false] {
                var sum = [Float](repeating: 2, count: size.rank * size.columns)
                kernel(
                    Int64(size.rows), Int64(size.columns), Int64(size.rank), g, Int64(size.rank), x, Int64(size.columns),
                    adding ? 1 : 0, &sum, Int64(size.columns))
                expectClose(sum, expected.map { adding ? $0 + 2 : $0 }, "\(size), adding \(adding)")
            }
        }
    }

    @Test(arguments: sizes, Precision.allCases) func backward(size: Size, precision: Precision) throws {
        let compute = try Compute(precision: precision, threadCount: 2)
        let outputs = size.columns + 3
        func tensor(_ rows: Int, _ columns: Int, _ stream: UInt64) -> Tensor {
            compute.rounded(compute.tensor(noise(rows * columns, stream), shape: [rows, columns]))
        }
        let (x, dy) = (tensor(size.rows, size.columns, 1), tensor(size.rows, outputs, 2))
        let (a, b) = (tensor(size.rank, size.columns, 3), tensor(outputs, size.rank, 4))
        let (g, dA, dB) = compute.lowRankBackward(x, dy, a: a, b: b, scale: 0.5)
        let (xs, dys, aS, bS) = (x.toArray(), dy.toArray(), a.toArray(), b.toArray())
        let gs = naive(size.rows, size.rank, outputs, { dys[$0 * outputs + $1] }, { bS[$0 * size.rank + $1] }).map { $0 * 0.5 }
        let hs = naive(size.rows, size.rank, size.columns, { xs[$0 * size.columns + $1] }, { aS[$1 * size.columns + $0] }).map { $0 * 0.5 }
        expectClose(g.toArray(), gs, "g of \(size)")
        // Tiles see the thin factors rounded, which are sums.
        let tolerance = compute.tiles == nil ? Self.tolerance : 0x1p-8
        expectClose(
            dA.toArray(), naive(size.rank, size.columns, size.rows, { Float(gs[$1 * size.rank + $0]) }, { xs[$0 * size.columns + $1] }),
            within: tolerance, "dA of \(size)")
        expectClose(
            dB.toArray(), naive(size.rank, outputs, size.rows, { Float(hs[$1 * size.rank + $0]) }, { dys[$0 * outputs + $1] }),
            within: tolerance, "dB of \(size)")
    }
}
