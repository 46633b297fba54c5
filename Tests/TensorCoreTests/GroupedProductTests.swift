import TensorCore
import Testing

/// Grouped products in both directions over every form of weight against a double loop, and what they read of it.
@Suite struct GroupedProductTests {
    /// How the matrices of three experts are held.
    enum Form: String, CaseIterable, Sendable { case separate, twoSeparate, fused, fusedTransposed, twoFused }

    /// Rows of each expert: for dot products, for vectors along the depth, and for strips with and without rows left
    /// over; enough for float16 in two of them.
    static let rows = [[5, 0, 3], [0, 0, 1], [70, 300, 9], [24, 32, 27], [63, 0, 2], [0, 0, 0]]
    static let units: [(Precision, TileUnit?, VectorUnit)] = [
        (.float32, nil, .float32), (.bfloat16, nil, .float32), (.bfloat16, nil, .float16),
    ] + TileUnit.usable.map { (.bfloat16, $0, .float32) }

    private func stored(_ values: [Float], _ shape: [Int], _ format: String) throws -> StoredTensor {
        let plain = try values.withUnsafeBytes {
            try StoredTensor(name: "w", shape: shape, format: .float32, bytes: MappedBytes(copying: $0))
        }
        let compute = try Compute(threadCount: 1)
        switch format {
        case "bfloat16": return try plain.asBfloat16(on: compute)
        case "nf4":
            return try StoredTensor(
                name: "w", shape: shape,
                fourBit: FourBitQuantizer.quantize(plain, blockSize: 64, doubleQuantization: true, on: compute))
        default: return plain
        }
    }

    /// A weight of three experts with 37 outputs and 29 inputs, and what `W_e[output, input]` is.
    private func weight(
        _ form: Form, _ format: String, outputs: Int = 38, inputs: Int = 29
    ) throws -> (GroupedWeight, (Int, Int, Int) -> Float) {
        let half = outputs / 2
        func tensor(_ shape: [Int], _ stream: UInt64) throws -> (Weight, [Float]) {
            let tensor = try stored(noise(shape.reduce(1, *), stream), shape, format)
            return (.stored(tensor), tensor.expandAll())
        }
        switch form {
        case .separate:
            let parts = try (0..<3).map { try tensor([outputs, inputs], UInt64($0)) }
            return (GroupedWeight(separate: parts.map { [$0.0] }), { parts[$0].1[$1 * inputs + $2] })
        case .twoSeparate:
            let parts = try (0..<6).map { try tensor([half, inputs], UInt64($0)) }
            return (
                GroupedWeight(separate: (0..<3).map { [parts[2 * $0].0, parts[2 * $0 + 1].0] }),
                { parts[2 * $0 + $1 / half].1[$1 % half * inputs + $2] }
            )
        case .fused:
            let (tensor, values) = try tensor([3, outputs, inputs], 1)
            return (
                GroupedWeight(fused: [tensor], count: 3, orientation: .outputsByInputs),
                { values[($0 * outputs + $1) * inputs + $2] }
            )
        case .fusedTransposed:
            let (tensor, values) = try tensor([3, inputs, outputs], 1)
            return (
                GroupedWeight(fused: [tensor], count: 3, orientation: .inputsByOutputs),
                { values[($0 * inputs + $2) * outputs + $1] }
            )
        case .twoFused:
            let parts = try (0..<2).map { try tensor([3, inputs, half], UInt64($0)) }
            return (
                GroupedWeight(fused: parts.map(\.0), count: 3, orientation: .inputsByOutputs),
                { parts[$1 / half].1[($0 * inputs + $2) * half + $1 % half] }
            )
        }
    }

    @Test(arguments: Form.allCases, ["float32", "bfloat16", "nf4"]) func bothDirections(form: Form, format: String)
        throws
    {
        let (weight, element) = try weight(form, format)
        for (counts, (precision, tiles, vectors)) in Self.rows.flatMap({ counts in Self.units.map { (counts, $0) } }) {
            let compute = try Compute(precision: precision, threadCount: 2, tiles: tiles, vectors: vectors)
            let offsets = counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
            let groups = counts.enumerated().flatMap { [Int](repeating: $0.offset, count: $0.element) }
            let exact = try Compute(precision: .bfloat16, threadCount: 1)
            func operand(_ columns: Int) -> Tensor {
                exact.rounded(exact.tensor(noise(groups.count * columns, 9), shape: [groups.count, columns]))
            }
            let (x, dy) = (operand(weight.inputs), operand(weight.outputs))
            let (xs, dys) = (x.toArray(), dy.toArray())
            // Weights are rounded to bfloat16 when the precision says so: half a unit in the eighth bit of each. In float16 it is
            // the eleventh, and sums are rounded.
            let tolerance = compute.multipliesFloat16 ? 1.2e-2 : precision == .bfloat16 ? 3e-2 : 2e-5
            let y = compute.groupedProduct(x, offsets: offsets, transposed: weight).toArray()
            let dx = compute.groupedProduct(dy, offsets: offsets, weight).toArray()
            #expect(y.count == groups.count * weight.outputs && dx.count == groups.count * weight.inputs)
            for (row, group) in groups.enumerated() {
                for output in 0..<weight.outputs {
                    let expected = (0..<weight.inputs).reduce(0.0) {
                        $0 + Double(xs[row * weight.inputs + $1]) * Double(element(group, output, $1))
                    }
                    #expect(
                        abs(Double(y[row * weight.outputs + output]) - expected) < tolerance, "y[\(row), \(output)]")
                }
                for input in 0..<weight.inputs {
                    let expected = (0..<weight.outputs).reduce(0.0) {
                        $0 + Double(dys[row * weight.outputs + $1]) * Double(element(group, $1, input))
                    }
                    #expect(abs(Double(dx[row * weight.inputs + input]) - expected) < tolerance, "dx[\(row), \(input)]")
                }
            }
        }
    }

    @Test(arguments: Form.allCases) func readsReachedGroupsOncePerDirection(form: Form) throws {
        // Larger than one panel in both directions.
        let (weight, _) = try weight(form, "bfloat16", outputs: 1030, inputs: 520)
        let compute = try Compute(threadCount: 2)
        let size = 1030 * 520
        _ = compute.groupedProduct(compute.zeros([12, 520]), offsets: [0, 3, 3, 12], transposed: weight)
        #expect(weight.expansions.counts == [size, 0, size])
        _ = compute.groupedProduct(compute.zeros([12, 1030]), offsets: [0, 3, 3, 12], weight)
        #expect(weight.expansions.counts == [2 * size, 0, 2 * size])
    }

    @Test(arguments: units) func threadsChangeNoBit(unit: (Precision, TileUnit?, VectorUnit)) throws {
        for form in [Form.twoSeparate, .fusedTransposed] {
            let (weight, _) = try weight(form, "bfloat16", outputs: 700, inputs: 530)
            let results = try [1, 2, 3].map { threads in
                let compute = try Compute(precision: unit.0, threadCount: threads, tiles: unit.1, vectors: unit.2)
                let x = compute.tensor(noise(300 * 530, 4), shape: [300, 530])
                let y = compute.groupedProduct(x, offsets: [0, 7, 200, 300], transposed: weight, type: .bfloat16)
                return (y.toArray(), compute.groupedProduct(y, offsets: [0, 7, 200, 300], weight).toArray())
            }
            #expect(results[0] == results[1] && results[0] == results[2])
            #expect(results[0].1.contains { $0 != 0 })
        }
    }

    @Test(arguments: ["q4_0", "q8_0"]) func blocksAreCutWhereTheyEnd(format: String) throws {
        let (blocks, bytes) = format == "q4_0" ? (18, StoredFormat.q4_0) : (34, .q8_0)
        let count = 8 * 320
        var data = [UInt8](repeating: 0, count: count / 32 * blocks)
        for index in data.indices {
            data[index] = index % blocks < 2 ? [0x00, 0x2C][index % blocks] : UInt8(index * 37 % 251)
        }
        let tensor = try StoredTensor(name: "w", shape: [8, 320], format: bytes, bytes: MappedBytes(copying: data))
        let all = tensor.expandAll()
        for columns in [0..<320, 32..<96, 256..<320, 5..<37] {
            let part = written(3 * columns.count) { tensor.expand(rows: 2..<5, columns: columns, into: $0) }
            #expect(part == (2..<5).flatMap { row in columns.map { all[row * 320 + $0] } })
        }
    }
}
