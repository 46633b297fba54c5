import TensorCore
import Testing

/// Products that give back what rounding to bfloat16 takes, against double arithmetic on what was not rounded.
struct LowTermTests {
    private func relativeError(_ found: [Float], _ expected: [Double]) -> Double {
        let difference = zip(found, expected).reduce(0.0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
        return (difference / expected.reduce(0.0) { $0 + $1 * $1 }).squareRoot()
    }

    /// `a[m, k] · b[n, k]ᵀ`
    private func product(_ m: Int, _ n: Int, _ k: Int, _ a: [Float], _ b: [Float]) -> [Double] {
        (0..<m * n).map { at in
            (0..<k).reduce(0.0) { $0 + Double(a[at / n * k + $1]) * Double(b[at % n * k + $1]) }
        }
    }

    /// With a few columns a hundred times as large as the others, hardly anything of the error is left; a term beside it
    /// stays what it is.
    @Test(arguments: [TileUnit?.none] + TileUnit.usable, [0, 5]) func largestColumns(tiles: TileUnit?, rank: Int) throws {
        let (m, n, k, scale) = (50, 70, 256, Float(0.5))
        let compute = try Compute(precision: .bfloat16, threadCount: 2, tiles: tiles, vectors: .float32)
        let x = noise(m * k, 1).enumerated().map { $1 * ($0 % k % 29 == 3 ? 100 : 1) }
        let w = compute.rounded(compute.tensor(noise(n * k, 2), shape: [n, k]))
        let (left, right) = (
            compute.rounded(compute.tensor(noise(m * rank, 3), shape: [m, rank])),
            compute.rounded(compute.tensor(noise(n * rank, 4), shape: [n, rank]))
        )
        let term = rank == 0 ? nil : ThinTerm(left, right, isTransposed: true, scale: scale)
        let added = rank == 0 ? [Double](repeating: 0, count: m * n) : product(m, n, rank, left.toArray(), right.toArray())
        let expected = zip(product(m, n, k, x, w.toArray()), added).map { $0 + Double(scale) * $1 }
        let xt = compute.tensor(x, shape: [m, k])
        func error(_ term: ThinTerm?) -> Double {
            relativeError(compute.product(xt, transposed: .dense(w), plus: term).toArray(), expected)
        }
        let (before, after) = (error(term), error(compute.lowTerm(xt, transposed: .dense(w), beside: term)))
        #expect(before > 1e-3 && after < before / 20, "\(before), then \(after)")
    }

    /// Together with the term they fill tiles along the depth, and none that would not be there without filling.
    @Test(arguments: [(256, 0, 32), (256, 32, 64), (256, 5, 64), (264, 0, 64), (8, 0, 8), (20, 3, 23)])
    func fillsTiles(columns: Int, rank: Int, width: Int) throws {
        let compute = try Compute(precision: .bfloat16, threadCount: 1, tiles: nil, vectors: .float32)
        func matrix(_ rows: Int, _ columns: Int) -> Tensor { compute.tensor(noise(rows * columns, 1), shape: [rows, columns]) }
        let term = rank == 0 ? nil : ThinTerm(matrix(9, rank), matrix(10, rank), isTransposed: true)
        let low = compute.lowTerm(matrix(9, columns), transposed: .dense(matrix(10, columns)), beside: term)
        #expect(low?.rank == width)
    }

    /// Where nothing is rounded there is nothing to give back.
    @Test func nothingToGiveBack() throws {
        let compute = try Compute(precision: .bfloat16, threadCount: 1, tiles: nil, vectors: .float32)
        let weight = Weight.dense(compute.tensor(noise(64, 1), shape: [8, 8]))
        let (few, many) = (compute.tensor(noise(16, 2), shape: [2, 8]), compute.tensor(noise(160, 3), shape: [20, 8]))
        #expect(compute.lowTerm(few, transposed: weight, beside: nil) == nil)
        #expect(compute.lowTerm(compute.converted(many, to: .bfloat16), transposed: weight, beside: nil) == nil)
        #expect(compute.lowTerm(many, transposed: weight, beside: nil) != nil)
        let single = Compute(sharing: compute, precision: .float32)
        #expect(single.lowTerm(many, transposed: weight, beside: nil) == nil)
        let float16 = try Compute(precision: .bfloat16, threadCount: 1, tiles: nil, vectors: .float16)
        #expect(float16.lowTerm(many, transposed: weight, beside: nil) == nil)
    }
}
