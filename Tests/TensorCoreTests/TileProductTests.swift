import CKernels
import TensorCore
import Testing

/// Products in bfloat16 on tiles, against double arithmetic on rounded operands.
@Suite struct TileProductTests {
    struct Shape: Sendable, CustomTestStringConvertible {
        let rows, outputs, inputs: Int
        var testDescription: String { "\(rows) × \(inputs) → \(outputs)" }
    }

    static let shapes = [
        Shape(rows: 3, outputs: 37, inputs: 29), Shape(rows: 8, outputs: 1, inputs: 1),
        Shape(rows: 9, outputs: 70, inputs: 33),
        Shape(rows: 33, outputs: 100, inputs: 31), Shape(rows: 64, outputs: 192, inputs: 96),
        Shape(rows: 300, outputs: 130, inputs: 70), Shape(rows: 257, outputs: 513, inputs: 40),
        // In bfloat16, rows that are read where they lie.
        Shape(rows: 37, outputs: 96, inputs: 64), Shape(rows: 8, outputs: 32, inputs: 160),
        // And rows that lie so that they are better packed.
        Shape(rows: 19, outputs: 1024, inputs: 32),
    ]

    private func rounded(_ values: [Float]) -> [Float] {
        values.map { Float(bitPattern: ($0.bitPattern + 0x7FFF + ($0.bitPattern >> 16 & 1)) & 0xFFFF_0000) }
    }

    /// `a[m, k] · b[k, n]`
    private func naive(_ a: [Float], _ b: (Int, Int) -> Float, _ m: Int, _ n: Int, _ k: Int) -> [Double] {
        var result = [Double](repeating: 0, count: m * n)
        for i in 0..<m {
            for p in 0..<k {
                let left = Double(a[i * k + p])
                for j in 0..<n { result[i * n + j] += left * Double(b(p, j)) }
            }
        }
        return result
    }

    private func expectClose(_ found: Tensor, _ expected: [Double], terms: Int, _ what: String) {
        let values = found.toArray()
        #expect(values.count == expected.count, "\(what)")
        let slack = 4e-6 * Double(terms).squareRoot()
        let relative = found.elementType == .bfloat16 ? 1.0 / 256 : 0
        let wrong = zip(values, expected).enumerated().first {
            !(abs(Double($1.0) - $1.1) <= slack + relative * abs($1.1))
        }
        #expect(wrong == nil, "\(what): \(String(describing: wrong))")
    }

    /// A weight in the given form and its elements as products in bfloat16 see them.
    static func weight(_ form: String, _ rows: Int, _ columns: Int, on compute: Compute) throws -> (Weight, [Float]) {
        let values = noise(rows * columns, 2)
        func stored(_ format: StoredFormat, _ bytes: [UInt8]) throws -> StoredTensor {
            try StoredTensor(name: "w", shape: [rows, columns], format: format, bytes: MappedBytes(copying: bytes))
        }
        func exact(_ tensor: StoredTensor) -> (Weight, [Float]) { (.stored(tensor), tensor.expandAll()) }
        switch form {
        case "dense": return (.dense(compute.tensor(values, shape: [rows, columns])), values)
        case "bfloat16":
            return exact(
                try stored(
                    .bfloat16, values.flatMap { [UInt8($0.bitPattern >> 16 & 255), UInt8($0.bitPattern >> 24)] }))
        case "nf4":
            let plain = try stored(.float32, values.withUnsafeBytes { Array($0) })
            return exact(
                try StoredTensor(
                    name: "w", shape: [rows, columns],
                    fourBit: FourBitQuantizer.quantize(plain, blockSize: 64, doubleQuantization: true, on: compute)))
        default:
            let (format, size, elements) = form == "q4_K" ? (StoredFormat.q4_K, 144, 256) : (.q8_0, 34, 32)
            let bytes = (0..<rows * columns / elements * size).map { index -> UInt8 in
                index % size < 4 && index % size % 2 == 1 ? 0x2C : UInt8(index * 37 % 251)
            }
            return exact(try stored(format, bytes))
        }
    }

    @Test(arguments: shapes, TileUnit.usable) func bothDirections(shape: Shape, unit: TileUnit) throws {
        let compute = try Compute(precision: .bfloat16, threadCount: 2, tiles: unit)
        let (m, n, k, rank) = (shape.rows, shape.outputs, shape.inputs, 5)
        let (x, dy) = (noise(m * k, 1), noise(m * n, 3))
        let (weight, w) = try Self.weight("dense", n, k, on: compute)
        let (rx, rw, rdy) = (rounded(x), rounded(w), rounded(dy))
        let (xt, dyt) = (compute.tensor(x, shape: [m, k]), compute.tensor(dy, shape: [m, n]))
        let forward = naive(rx, { rw[$1 * k + $0] }, m, n, k), backward = naive(rdy, { rw[$0 * k + $1] }, m, k, n)
        // Numbers of few bits: the thin factors are rounded too.
        func thin(_ count: Int, _ stream: UInt64) -> [Float] { noise(count, stream).map { ($0 * 16).rounded() / 16 } }
        let (h, a, b) = (thin(m * rank, 4), thin(rank * k, 5), thin(n * rank, 6))
        let ht = compute.tensor(h, shape: [m, rank])
        let forwardTerm = ThinTerm(ht, compute.tensor(b, shape: [n, rank]), isTransposed: true, scale: 0.5)
        let backwardTerm = ThinTerm(ht, compute.tensor(a, shape: [rank, k]), isTransposed: false)
        let addedForward = naive(h, { b[$1 * rank + $0] * 0.5 }, m, n, rank)
        let addedBackward = naive(h, { a[$0 * k + $1] }, m, k, rank)
        for type in [ElementType.float32, .bfloat16] {
            for source in [ElementType.float32, .bfloat16] {
                let (xs, dys) = (compute.converted(xt, to: source), compute.converted(dyt, to: source))
                expectClose(
                    compute.product(xs, transposed: weight, type: type), forward, terms: k, "forward \(source) \(type)")
                expectClose(compute.product(dys, weight, type: type), backward, terms: n, "backward \(source) \(type)")
            }
            expectClose(
                compute.product(xt, transposed: weight, plus: forwardTerm, type: type),
                zip(forward, addedForward).map(+),
                terms: k + rank, "forward and thin \(type)")
            expectClose(
                compute.product(dyt, weight, plus: backwardTerm, type: type), zip(backward, addedBackward).map(+),
                terms: n + rank, "backward and thin \(type)")
        }
        // Columns of a wider tensor.
        let wide = compute.tensor(
            (0..<m * (k + 3)).map { $0 % (k + 3) < k ? x[$0 / (k + 3) * k + $0 % (k + 3)] : 9 }, shape: [m, k + 3])
        expectClose(compute.product(wide.columnSlice(0..<k), transposed: weight), forward, terms: k, "view")
    }

    @Test(arguments: ["bfloat16", "nf4", "q8_0", "q4_K"], TileUnit.usable) func storedWeights(form: String, unit: TileUnit) throws {
        let compute = try Compute(precision: .bfloat16, threadCount: 2, tiles: unit)
        let (m, n, k) = (20, 150, 1280)
        let (weight, values) = try Self.weight(form, n, k, on: compute)
        let w = rounded(values)
        let (x, dy) = (rounded(noise(m * k, 1)), rounded(noise(m * n, 3)))
        let size = values.reduce(0) { max($0, $1.magnitude) }
        expectClose(
            compute.product(compute.tensor(x, shape: [m, k]), transposed: weight),
            naive(x, { w[$1 * k + $0] }, m, n, k),
            terms: Int(Float(k) * max(1, size * size)), "forward")
        expectClose(
            compute.product(compute.tensor(dy, shape: [m, n]), weight), naive(dy, { w[$0 * k + $1] }, m, k, n),
            terms: Int(Float(n) * max(1, size * size)), "backward")
    }

    /// A weight of more elements than a panel holds, forward and backward.
    @Test(arguments: TileUnit.usable) func panelsAddUp(unit: TileUnit) throws {
        let compute = try Compute(precision: .bfloat16, threadCount: 2, tiles: unit)
        let (m, n, k) = (9, 33_000, 70)
        let (weight, values) = try Self.weight("bfloat16", n, k, on: compute)
        let (x, dy) = (rounded(noise(m * k, 1)), rounded(noise(m * n, 3)))
        expectClose(
            compute.product(compute.tensor(x, shape: [m, k]), transposed: weight),
            naive(x, { values[$1 * k + $0] }, m, n, k),
            terms: k, "forward")
        for type in [ElementType.float32, .bfloat16] {
            expectClose(
                compute.product(compute.tensor(dy, shape: [m, n]), weight, type: type),
                naive(dy, { values[$0 * k + $1] }, m, k, n), terms: n, "backward")
        }
    }

    @Test(arguments: [1, 5, 16, 40], [(70, 200), (64, 224), (31, 5)])
    func thinProducts(rank: Int, widths: (inputs: Int, outputs: Int)) throws {
        let compute = try Compute(precision: .bfloat16, threadCount: 2, tiles: .emulated)
        let (rows, scale) = (530, Float(0.5))
        let (inputs, outputs) = widths
        leaveRubbish(in: compute)
        let (x, dy) = (rounded(noise(rows * inputs, 1)), rounded(noise(rows * outputs, 2)))
        let (a, b) = (rounded(noise(rank * inputs, 3)), rounded(noise(outputs * rank, 4)))
        let (xt, dyt) = (compute.tensor(x, shape: [rows, inputs]), compute.tensor(dy, shape: [rows, outputs]))
        let (at, bt) = (compute.tensor(a, shape: [rank, inputs]), compute.tensor(b, shape: [outputs, rank]))
        let h = compute.lowRankProduct(xt, at)
        let expectedH = naive(x, { a[$1 * inputs + $0] }, rows, rank, inputs)
        expectClose(h, expectedH, terms: inputs, "h")
        let expectedG = naive(dy, { b[$0 * rank + $1] * scale }, rows, rank, outputs)
        for (hidden, type) in [(nil, ElementType.float32), (h, .float32), (h, .bfloat16)] {
            let (xt, dyt) = (compute.converted(xt, to: type), compute.converted(dyt, to: type))
            let found = compute.lowRankBackward(xt, dyt, a: at, b: bt, scale: scale, hidden: hidden)
            expectClose(found.g, expectedG, terms: outputs, "g")
            // g and h are rounded for these, as they are here.
            let (g, rh) = (rounded(found.g.toArray()), rounded(h.toArray()))
            let gt = (0..<rank * rows).map { g[$0 % rows * rank + $0 / rows] }
            let rht = (0..<rank * rows).map { rh[$0 % rows * rank + $0 / rows] * scale }
            expectClose(found.dA, naive(gt, { x[$0 * inputs + $1] }, rank, inputs, rows), terms: rows * 30, "dA")
            expectClose(
                found.dBTransposed, naive(rht, { dy[$0 * outputs + $1] }, rank, outputs, rows), terms: rows * 30, "dB")
        }
    }

    @Test(arguments: [false, true], [false, true]) func multipliesOnOneThread(aTransposed: Bool, bTransposed: Bool)
        throws
    {
        let compute = try Compute(precision: .bfloat16, threadCount: 1, tiles: .emulated)
        for (m, n, k) in [(8, 5, 3), (40, 70, 33), (17, 300, 1300)] {
            let (a, b, old) = (rounded(noise(m * k, 1)), rounded(noise(k * n, 2)), noise(m * n, 3))
            let rows = (0..<m * k).map { a[aTransposed ? $0 % k * m + $0 / k : $0] }
            let expected = naive(rows, { b[bTransposed ? $1 * k + $0 : $0 * n + $1] }, m, n, k)
            let (at, bt) = (compute.tensor(a, shape: [m * k]), compute.tensor(b, shape: [k * n]))
            var left = MatrixPointer(at.floats, stride: aTransposed ? m : k)
            var right = MatrixPointer(bt.floats, stride: bTransposed ? k : n)
            if aTransposed { left = left.transposed }
            if bTransposed { right = right.transposed }
            let (added, scaled) = withExtendedLifetime((at, bt)) {
                (
                    changed(old) { compute.multiply(m, n, k, left, right, beta: 1, into: $0, stride: n) },
                    written(m * n) { compute.multiply(m, n, k, alpha: 0.5, left, right, into: $0, stride: n) }
                )
            }
            for index in expected.indices {
                #expect(abs(Double(added[index]) - expected[index] - Double(old[index])) < 2e-4)
                #expect(abs(Double(scaled[index]) - expected[index] / 2) < 2e-4)
            }
        }
    }

    @Test(arguments: [8, 64, 600], TileUnit.usable) func threadsChangeNoBit(rows: Int, unit: TileUnit) throws {
        let (n, k) = (700, 130)
        func run(_ threads: Int) throws -> [[Float]] {
            let compute = try Compute(precision: .bfloat16, threadCount: threads, tiles: unit)
            let (weight, _) = try Self.weight("bfloat16", n, k, on: compute)
            let (x, dy) = (
                compute.tensor(noise(rows * k, 2), shape: [rows, k]),
                compute.tensor(noise(rows * n, 3), shape: [rows, n])
            )
            let (a, b) = (
                compute.tensor(noise(9 * k, 4), shape: [9, k]), compute.tensor(noise(n * 9, 5), shape: [n, 9])
            )
            let thin = compute.lowRankBackward(x, dy, a: a, b: b, scale: 0.5)
            return [
                compute.product(x, transposed: weight).toArray(), compute.product(dy, weight).toArray(),
                thin.g.toArray(),
                thin.dA.toArray(), thin.dBTransposed.toArray(),
            ]
        }
        let one = try run(1)
        #expect(try run(2) == one)
        #expect(try run(5) == one)
    }

    /// The packed rows of one tensor must never be taken for those of another, even where its memory comes back.
    @Test func rememberedRowsAreThoseOfTheTensor() throws {
        let compute = try Compute(precision: .bfloat16, threadCount: 1, tiles: .emulated)
        let weight = Weight.dense(compute.tensor([1, 0, 0, 1], shape: [2, 2]))
        for value in 1...20 {
            let x = compute.tensor([Float](repeating: Float(value), count: 32), shape: [16, 2])
            #expect(compute.product(x, transposed: weight).toArray() == x.toArray())
            #expect(
                compute.product(x.columnSlice(0..<1), transposed: .dense(compute.tensor([2], shape: [1, 1]))).toArray()
                    == [Float](repeating: Float(2 * value), count: 16))
        }
    }

    /// Nor for those that it had before it was changed.
    @Test func rememberedRowsAreThoseOfNow() throws {
        let compute = try Compute(precision: .bfloat16, threadCount: 1, tiles: .emulated)
        let weight = Weight.dense(compute.tensor([1, 0, 0, 1], shape: [2, 2]))
        var x = compute.tensor([Float](repeating: 1, count: 32), shape: [16, 2])
        for value in 1...3 {
            #expect(compute.product(x, transposed: weight).toArray() == [Float](repeating: Float(value), count: 32))
            x.withUniqueFloats { for index in $0.indices { $0[index] += 1 } }
        }
    }
}
