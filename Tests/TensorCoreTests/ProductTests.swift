import TensorCore
import Testing

/// Products in all three forms against a double loop.
@Suite struct ProductTests {
    /// One product: rows of activations, outputs and inputs of the weight.
    struct Shape: Sendable, CustomTestStringConvertible {
        let rows, outputs, inputs: Int
        var testDescription: String { "\(rows) × \(inputs) → \(outputs)" }
    }

    /// An arithmetic of products, by our own kernels or the library's.
    struct Form: Sendable, CustomTestStringConvertible {
        let precision: Precision
        let vectors: VectorUnit?
        var testDescription: String { "\(precision), \(vectors.map { "\($0) vectors" } ?? "library")" }

        func compute(threads: Int) throws -> Compute {
            try Compute(precision: precision, threadCount: threads, tiles: nil, vectors: vectors)
        }

        /// Whether operands become float16 rather than what the precision says.
        var isFloat16: Bool { precision == .bfloat16 && vectors == .float16 }
    }

    static let forms =
        [nil, .float32].map { Form(precision: .float32, vectors: $0) }
        + [nil, .float32, .float16].map { Form(precision: .bfloat16, vectors: $0) }

    /// Sums of `inputs` products of numbers below one, relative to the root of their number.
    static let sum = 2e-6
    /// The same of float16 products, whose operands may be rounded to bfloat16 if there are few rows.
    static let float16Sum = 3e-3
    /// Rounding of a result to bfloat16.
    static let bfloat16Result = 1.0 / 256

    static let shapes =
        (1...9).map { Shape(rows: $0, outputs: 37, inputs: 29) }
        + [64, 257].flatMap { rows in
            [(1, 1), (5, 7), (33, 65), (130, 513), (1030, 31)].map { Shape(rows: rows, outputs: $0.0, inputs: $0.1) }
        }

    private func rounded(_ values: [Float], _ form: Form) -> [Double] {
        rounded(values, form.isFloat16 ? .float32 : form.precision)
    }

    private func rounded(_ values: [Float], _ precision: Precision) -> [Double] {
        values.map { value in
            if precision == .float32 { return Double(value) }
            let bits = value.bitPattern
            return Double(Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000))
        }
    }

    /// `a[m, k] · b[k, n]`
    private func naive(_ a: [Double], _ b: [Double], _ m: Int, _ n: Int, _ k: Int) -> [Double] {
        var result = [Double](repeating: 0, count: m * n)
        for i in 0..<m {
            for p in 0..<k {
                let left = a[i * k + p]
                for j in 0..<n { result[i * n + j] += left * b[p * n + j] }
            }
        }
        return result
    }

    private func transposed(_ a: [Double], _ rows: Int, _ columns: Int) -> [Double] {
        (0..<columns * rows).map { a[$0 % rows * columns + $0 / rows] }
    }

    private func expectClose(_ found: Tensor, _ expected: [Double], terms: Int, _ form: Form, _ what: String) {
        let values = found.toArray()
        #expect(values.count == expected.count, "\(what)")
        let slack = (form.isFloat16 ? Self.float16Sum : Self.sum) * Double(terms).squareRoot() * 2
        let relative = found.elementType == .bfloat16 ? Self.bfloat16Result : 0
        let wrong = zip(values, expected).enumerated().first {
            !(abs(Double($1.0) - $1.1) <= slack + relative * abs($1.1))
        }
        #expect(wrong == nil, "\(what): \(String(describing: wrong))")
    }

    @Test(arguments: shapes, forms) func allForms(shape: Shape, form: Form) throws {
        let compute = try form.compute(threads: 2)
        let (m, n, k) = (shape.rows, shape.outputs, shape.inputs)
        let (x, w, dy) = (noise(m * k, 1), noise(n * k, 2), noise(m * n, 3))
        let (xt, weight, dyt) = (
            compute.tensor(x, shape: [m, k]), compute.tensor(w, shape: [n, k]), compute.tensor(dy, shape: [m, n])
        )
        let (dx, dw, ddy) = (rounded(x, form), rounded(w, form), rounded(dy, form))
        let forward = naive(dx, transposed(dw, n, k), m, n, k)
        let backward = naive(ddy, dw, m, k, n)
        for type in [ElementType.float32, .bfloat16] {
            expectClose(
                compute.product(xt, transposed: .dense(weight), type: type), forward, terms: k, form, "forward \(type)")
            expectClose(compute.product(dyt, .dense(weight), type: type), backward, terms: n, form, "backward \(type)")
        }
        // Activations in bfloat16 hold rounded values already.
        let (xh, dyh) = (compute.converted(xt, to: .bfloat16), compute.converted(dyt, to: .bfloat16))
        let (dxh, ddyh) = (rounded(x, .bfloat16), rounded(dy, .bfloat16))
        expectClose(
            compute.product(xh, transposed: .dense(weight)), naive(dxh, transposed(dw, n, k), m, n, k), terms: k, form,
            "bfloat16 x")
        expectClose(compute.product(dyh, .dense(weight)), naive(ddyh, dw, m, k, n), terms: n, form, "bfloat16 dy")
    }

    /// A stored weight of more elements than a panel holds.
    @Test(arguments: [3, 70], forms) func storedWeightInPanels(rows: Int, form: Form) throws {
        let compute = try form.compute(threads: 2)
        let (n, k) = (4200, 520)
        let bits = noise(n * k, 1).map { UInt16($0.bitPattern >> 16) }
        let stored = try StoredTensor(
            name: "w", shape: [n, k], format: .bfloat16, bytes: bits.withUnsafeBytes { MappedBytes(copying: Array($0)) }
        )
        let dense = bits.map { Float(bitPattern: UInt32($0) << 16) }
        let (x, dy) = (noise(rows * k, 2), noise(rows * n, 3))
        let weight = doubles(dense)
        expectClose(
            compute.product(compute.tensor(x, shape: [rows, k]), transposed: .stored(stored)),
            naive(rounded(x, form), transposed(weight, n, k), rows, n, k), terms: k, form, "forward")
        expectClose(
            compute.product(compute.tensor(dy, shape: [rows, n]), .stored(stored)),
            naive(rounded(dy, form), weight, rows, k, n), terms: n, form, "backward")
    }

    /// A low-rank update that is added to the weight, of which more rows and columns exist than are expanded at a time.
    @Test(arguments: [3, 70], forms) func updatesAreAddedToTheWeight(rows: Int, form: Form) throws {
        let compute = try form.compute(threads: 2)
        let (n, k, rank) = (170, 1100, 3)
        let (w, a, b) = (noise(n * k, 1), noise(rank * k, 2), noise(n * rank, 3))
        let update = WeightUpdate(
            a: compute.tensor(a, shape: [rank, k]), b: compute.tensor(b, shape: [n, rank]), scale: 0.5)
        let added = zip(rounded(w, form), naive(doubles(b), doubles(a), n, k, rank)).map { $0 + 0.5 * $1 }
        let (x, dy) = (noise(rows * k, 4), noise(rows * n, 5))
        let weight = Weight.dense(compute.tensor(w, shape: [n, k]))
        expectClose(
            compute.product(compute.tensor(x, shape: [rows, k]), transposed: weight, adding: update),
            naive(rounded(x, form), transposed(added, n, k), rows, n, k), terms: 2 * k, form, "forward")
        let way = BackProjection(compute.tensor(dy, shape: [rows, n]), weight, adding: update, on: compute)
        expectClose(compute.product([way]), naive(rounded(dy, form), added, rows, k, n), terms: 2 * n, form, "backward")
    }

    @Test(arguments: [1, 7, 8, 300], forms) func epilogueSeesEveryElementOnce(rows: Int, form: Form) throws {
        let compute = try form.compute(threads: 3)
        let (n, k) = (1100, 70)
        let weight = Weight.dense(compute.tensor(noise(n * k, 1), shape: [n, k]))
        func add(_ rows: Range<Int>, _ columns: Range<Int>, _ tile: UnsafeMutablePointer<Float>, _ stride: Int) {
            for (r, row) in rows.enumerated() {
                for (c, column) in columns.enumerated() { tile[r * stride + c] += Float(row * 10_000 + column) }
            }
        }
        let zeros = compute.product(compute.zeros([rows, k]), transposed: weight, epilogue: add).toArray()
        #expect(zeros == (0..<rows * n).map { Float($0 / n * 10_000 + $0 % n) })
        let way = BackProjection(compute.zeros([rows, n]), weight, epilogue: add, on: compute)
        #expect(compute.product([way]).toArray() == (0..<rows * k).map { Float($0 / k * 10_000 + $0 % k) })
        let twice = (0..<rows * k).map { 2 * Float($0 / k * 10_000 + $0 % k) }
        #expect(compute.product([way, way]).toArray() == twice)
    }

    @Test(arguments: [1, 7, 64, 600], forms) func threadsChangeNoBit(rows: Int, form: Form) throws {
        let (n, k) = (1100, 130)
        func run(_ threads: Int) throws -> [[Float]] {
            let compute = try form.compute(threads: threads)
            let weight = Weight.dense(compute.tensor(noise(n * k, 1), shape: [n, k]))
            let (x, dy) = (
                compute.tensor(noise(rows * k, 2), shape: [rows, k]),
                compute.tensor(noise(rows * n, 3), shape: [rows, n])
            )
            let (a, b) = (compute.tensor(noise(5 * k, 4), shape: [5, k]), compute.tensor(noise(n * 5, 5), shape: [n, 5]))
            let thin = compute.lowRankBackward(x, dy, a: a, b: b, scale: 0.5)
            return [
                compute.product(x, transposed: weight).toArray(), compute.product(dy, weight).toArray(),
                thin.g.toArray(), thin.dA.toArray(), thin.dBTransposed.toArray(),
            ]
        }
        let one = try run(1)
        #expect(try run(2) == one)
        #expect(try run(5) == one)
    }

    /// Nor do they where columns are cut at blocks of a format, which are wider than what packing takes together. The blocks of
    /// a row are large and small in turn, so that they must not be packed under one scale.
    @Test(arguments: forms) func blocksAndThreadsChangeNoBit(form: Form) throws {
        let (rows, n, k) = (64, 256, 2560)
        var bytes = storedBlocks(.q6_K, elements: n * k, seed: 5)
        let size = bytes.count / (n * k / 256)
        for block in 0..<n * k / 256 {
            // The last two bytes are the block's scale: 1 or 2⁻¹⁴.
            (bytes[(block + 1) * size - 2], bytes[(block + 1) * size - 1]) = (0, block % 2 == 0 ? 0x3C : 0x04)
        }
        let stored = try StoredTensor(name: "w", shape: [n, k], format: .q6_K, bytes: MappedBytes(copying: bytes))
        func run(_ threads: Int) throws -> [Float] {
            let compute = try form.compute(threads: threads)
            return compute.product(compute.tensor(noise(rows * n, 1), shape: [rows, n]), .stored(stored)).toArray()
        }
        let one = try run(1)
        #expect(!one.contains { !$0.isFinite })
        for threads in [2, 3] {
            let other = try run(threads)
            #expect(other == one, "\(threads) threads")
        }
    }

    /// Gradients of an adapter use what the forward pass kept of it.
    @Test(arguments: forms) func keptProductsOfAdapters(form: Form) throws {
        let compute = try form.compute(threads: 2)
        let (rows, k, n, rank) = (300, 90, 70, 5)
        func matrix(_ rows: Int, _ columns: Int, _ stream: UInt64) -> Tensor {
            compute.rounded(compute.tensor(noise(rows * columns, stream), shape: [rows, columns]))
        }
        let (x, dy, a, b) = (matrix(rows, k, 1), matrix(rows, n, 2), matrix(rank, k, 3), matrix(n, rank, 4))
        func gradients(_ hidden: Tensor?) -> [[Float]] {
            let found = compute.lowRankBackward(x, dy, a: a, b: b, scale: 0.5, hidden: hidden)
            return [found.g, found.dA, found.dBTransposed].map { $0.toArray() }
        }
        let hidden = compute.lowRankProduct(x, a)
        #expect(gradients(hidden) == gradients(nil))
        #expect(gradients(compute.scaled(hidden, by: 2))[2] == gradients(nil)[2].map { 2 * $0 })
    }

    /// Several products at once are the same bits as each by itself, on every number of threads.
    @Test(arguments: [1, 7, 20], Precision.allCases)
    func productsTogetherAreThoseApart(rows: Int, precision: Precision) throws {
        let (k, outputs) = (256, [700, 3, 129, 64])
        func run(_ threads: Int, together: Bool) throws -> [[Float]] {
            let compute = try Compute(precision: precision, threadCount: threads)
            func bytes(_ values: [some Any]) -> MappedBytes {
                values.withUnsafeBytes { MappedBytes(copying: Array($0)) }
            }
            let bits = noise(outputs[1] * k, 2).map { UInt16($0.bitPattern >> 16) }
            let codes = (0..<outputs[2] * k / 2).map { UInt8($0 * 37 & 255) }
            let matrix = try FourBitMatrix(
                count: outputs[2] * k, codes: bytes(codes), table: noise(16, 3), blockSize: 64,
                scales: .single(bytes(noise(outputs[2] * k / 64, 4))))
            let weights: [Weight] = try [
                .dense(compute.tensor(noise(outputs[0] * k, 1), shape: [outputs[0], k])),
                .stored(StoredTensor(name: "b", shape: [outputs[1], k], format: .bfloat16, bytes: bytes(bits))),
                .stored(StoredTensor(name: "c", shape: [outputs[2], k], fourBit: matrix)),
                .dense(compute.tensor(noise(outputs[3] * k, 5), shape: [outputs[3], k])),
            ]
            let x = compute.tensor(noise(rows * k, 6), shape: [rows, k])
            func projection(_ index: Int) -> Projection {
                let (hidden, b) = (
                    compute.tensor(noise(rows * 5, 7), shape: [rows, 5]),
                    compute.tensor(noise(outputs[index] * 5, 8), shape: [outputs[index], 5])
                )
                return Projection(
                    weights[index], plus: index == 3 ? nil : ThinTerm(hidden, b, isTransposed: true, scale: 0.3),
                    epilogue: index == 0 ? nil : { rows, columns, tile, stride in
                        for row in 0..<rows.count {
                            for (at, column) in columns.enumerated() { tile[row * stride + at] += Float(column) }
                        }
                    })
            }
            if together { return compute.products(x, outputs.count, projection).map { $0.toArray() } }
            return outputs.indices.map { index in compute.products(x, 1) { _ in projection(index) }[0].toArray() }
        }
        let apart = try run(1, together: false)
        #expect(apart.map(\.count) == outputs.map { $0 * rows })
        for threads in [1, 2, 5] {
            let together = try run(threads, together: true)
            #expect(together == apart, "\(threads) threads")
        }
    }

    /// The ways back from several layers are summed as if each had its own product, on every number of threads.
    @Test(arguments: [1, 9, 300], [TileUnit?.none] + TileUnit.usable)
    func waysBackAreSummed(rows: Int, tiles: TileUnit?) throws {
        let (k, rank, outputs) = (130, 3, [1100, 3, 64])
        func run(_ threads: Int, together: Bool) throws -> [Float] {
            let compute = try Compute(precision: tiles == nil ? .float32 : .bfloat16, threadCount: threads, tiles: tiles)
            let a = compute.tensor(noise(rank * k, 1), shape: [rank, k])
            let ways = outputs.enumerated().map { index, n in
                let g = compute.tensor(noise(rows * rank, UInt64(index) + 2), shape: [rows, rank])
                return BackProjection(
                    compute.tensor(noise(rows * n, UInt64(index) + 5), shape: [rows, n]),
                    .dense(compute.tensor(noise(n * k, UInt64(index) + 8), shape: [n, k])),
                    plus: ThinTerm(g, a, isTransposed: false), on: compute)
            }
            if together { return compute.product(ways).toArray() }
            return ways.map { compute.product([$0]).toArray() }.reduce([Float](repeating: 0, count: rows * k)) {
                zip($0, $1).map(+)
            }
        }
        let (whole, parts) = try (run(1, together: true), run(1, together: false))
        for (found, expected) in zip(whole, parts) { #expect(abs(found - expected) < 1e-4, "\(found), \(expected)") }
        #expect(try run(3, together: true) == whole)
    }

    /// What a thin term adds to dot products.
    @Test func thinTermOfFewRows() throws {
        let compute = try Compute(threadCount: 2)
        let (m, n, k, rank) = (3, 200, 40, 5)
        let (x, w, h, b) = (noise(m * k, 1), noise(n * k, 2), noise(m * rank, 3), noise(n * rank, 4))
        let found = compute.product(
            compute.tensor(x, shape: [m, k]), transposed: .dense(compute.tensor(w, shape: [n, k])),
            plus: ThinTerm(
                compute.tensor(h, shape: [m, rank]), compute.tensor(b, shape: [n, rank]), isTransposed: true,
                scale: 0.5))
        let product = naive(doubles(x), transposed(doubles(w), n, k), m, n, k)
        let thin = naive(doubles(h), transposed(doubles(b), n, rank), m, n, rank)
        expectClose(found, zip(product, thin).map { $0 + 0.5 * $1 }, terms: k, Form(precision: .float32, vectors: nil), "thin term")
    }

    @Test func nothingTimesSomething() throws {
        let compute = try Compute(threadCount: 2)
        let weight = Weight.dense(compute.tensor(noise(12, 1), shape: [3, 4]))
        #expect(compute.product(compute.zeros([0, 4]), transposed: weight).shape == [0, 3])
        #expect(compute.product(compute.zeros([0, 3]), weight).shape == [0, 4])
    }
}
