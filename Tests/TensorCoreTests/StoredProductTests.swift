import TensorCore
import Testing

/// Products of a few rows with weights of every format where they lie, against their expanded numbers.
@Suite struct StoredProductTests {
    /// Rows in file order and by halves of heads, of which threads take parts that begin and end inside heads.
    @Test(arguments: StoredFormat.allCases, [RowOrder.plain, .interleavedHalves(headSize: 40)])
    func fewRowsOfEveryFormat(format: StoredFormat, order: RowOrder) throws {
        let (rows, columns) = (280, format.isQuantized ? 512 : 515)
        let blocks = storedBlocks(format, elements: rows * columns, seed: 5)
        // An address that is no multiple of anything.
        let bytes = MappedBytes(copying: [0] + blocks)[1..<blocks.count + 1]
        let stored = try StoredTensor(
            name: "w", shape: [rows, columns], format: format, bytes: bytes, rowOrder: order)
        let forms = [(Precision.float32, VectorUnit?.none), (.bfloat16, nil), (.bfloat16, .float16)]
        for (precision, vectors) in forms {
            let compute = try Compute(precision: precision, threadCount: 3, tiles: nil, vectors: vectors)
            // Only products of many rows run in float16.
            let rounding = vectors == .float16 ? Precision.float32 : precision
            let weight = values(stored.expandAll(), rounding)
            for count in [1, 3, 7] {
                let x = noise(count * columns, 6)
                let found = compute.product(compute.tensor(x, shape: [count, columns]), transposed: .stored(stored))
                let operand = values(x, rounding)
                let expected = (0..<count * rows).map { index in
                    let (i, r) = (index / rows, index % rows)
                    return (0..<columns).reduce(0.0) { $0 + operand[i * columns + $1] * weight[r * columns + $1] }
                }
                let wrong = zip(found.toArray(), expected).enumerated().first { abs(Double($1.0) - $1.1) > 1e-4 }
                #expect(wrong == nil, "\(precision), \(String(describing: vectors)), \(count) rows: \(String(describing: wrong))")
            }
        }
    }

    private func values(_ numbers: [Float], _ precision: Precision) -> [Double] {
        numbers.map { number in
            if precision == .float32 { return Double(number) }
            let bits = number.bitPattern
            return Double(Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000))
        }
    }
}
