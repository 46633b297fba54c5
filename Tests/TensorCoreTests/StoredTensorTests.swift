import TensorCore
import Testing

private func floats(_ values: [Float]) -> MappedBytes {
    values.withUnsafeBytes { MappedBytes(copying: Array($0)) }
}

private func numbered(_ shape: [Int], _ order: RowOrder = .plain) throws -> StoredTensor {
    let values = (0..<shape.reduce(1, *)).map { Float($0) }
    return try StoredTensor(name: "t", shape: shape, format: .float32, bytes: floats(values), rowOrder: order)
}

private func problem(
    _ shape: [Int], _ format: StoredFormat, bytes: Int, _ order: RowOrder = .plain
) -> StoredTensorError? {
    do throws(StoredTensorError) {
        let zeros = MappedBytes(copying: [UInt8](repeating: 0, count: bytes))
        _ = try StoredTensor(name: "t", shape: shape, format: format, bytes: zeros, rowOrder: order)
        return nil
    } catch {
        return error
    }
}

private func expand(_ tensor: StoredTensor, _ rows: Range<Int>) -> [Float] {
    [Float](unsafeUninitializedCapacity: rows.count * tensor.columns) { buffer, count in
        if let target = buffer.baseAddress { tensor.expand(rows: rows, into: target) }
        count = rows.count * tensor.columns
    }
}

@Suite struct StoredTensorTests {
    @Test func seesEveryShapeAsAMatrix() throws {
        let cases: [([Int], Int, Int)] = [
            ([], 1, 1), ([5], 1, 5), ([2, 3], 2, 3), ([2, 3, 4], 6, 4), ([0, 3], 0, 3), ([5, 0], 5, 0), ([0], 1, 0),
        ]
        for (shape, rows, columns) in cases {
            let tensor = try numbered(shape)
            #expect(tensor.rows == rows)
            #expect(tensor.columns == columns)
            #expect(tensor.expandAll() == (0..<rows * columns).map { Float($0) })
        }
    }

    @Test func expandsSomeRows() throws {
        let tensor = try numbered([2, 2, 3])
        #expect(expand(tensor, 1..<3) == [3, 4, 5, 6, 7, 8])
        #expect(expand(tensor, 2..<2).isEmpty)
        let half = try StoredTensor(
            name: "h", shape: [3, 2], format: .bfloat16,
            bytes: MappedBytes(copying: [0, 0, 0x80, 0x3F, 0, 0x40, 0x40, 0x40, 0x80, 0x40, 0xA0, 0x40]))
        #expect(expand(half, 1..<3) == [2, 3, 4, 5])
    }

    /// Parts of a weight are its rows, whatever it is stored in; a form that cannot be cut stays whole.
    @Test func weightsAreCutIntoRows() throws {
        let (rows, columns) = (600, 256)
        var weights: [(Weight, parts: Int)] = try StoredFormat.allCases.map { format in
            let bytes = MappedBytes(copying: storedBlocks(format, elements: rows * columns, seed: 1))
            return (.stored(try StoredTensor(name: "w", shape: [rows, columns], format: format, bytes: bytes)), 3)
        }
        let compute = try Compute(threadCount: 1)
        let plain = try numbered([rows, columns])
        weights.append((.dense(compute.tensor(plain.expandAll(), shape: [rows, columns])), 3))
        for double in [false, true] {
            let matrix = try FourBitQuantizer.quantize(plain, blockSize: 64, doubleQuantization: double, on: compute)
            weights.append((.stored(try StoredTensor(name: "w", shape: [rows, columns], fourBit: matrix)), 3))
        }
        // Halves of heads that alternate are not rows that follow one another.
        weights.append((.stored(try numbered([rows, columns], .interleavedHalves(headSize: 4))), 1))
        func values(_ weight: Weight) -> [Float] {
            [Float](unsafeUninitializedCapacity: weight.rows * weight.columns) { buffer, count in
                weight.expand(rows: 0..<weight.rows, precision: .float32, into: buffer.baseAddress!)
                count = buffer.count
            }
        }
        for (weight, count) in weights {
            let parts = weight.parts(ofRows: 256)
            #expect(parts.count == count && parts.flatMap(values) == values(weight))
        }
    }

    @Test func undoesTheInterleavingOfHeads() throws {
        // Two heads of four rows, one column: Hugging Face row h·4 + half·2 + i lies at h·4 + 2i + half.
        let tensor = try numbered([8, 1], .interleavedHalves(headSize: 4))
        #expect(tensor.expandAll() == [0, 2, 1, 3, 4, 6, 5, 7])
        #expect(expand(tensor, 1..<6) == [2, 1, 3, 4, 6])
        let bias = try numbered([8], .interleavedHalves(headSize: 8))
        #expect(bias.expandAll() == [0, 2, 4, 6, 1, 3, 5, 7])
        let wide = try numbered([4, 2], .interleavedHalves(headSize: 4))
        #expect(wide.expandAll() == [0, 1, 4, 5, 2, 3, 6, 7])
    }

    @Test func refusesWhatDoesNotFit() {
        #expect(problem([2, 3], .float32, bytes: 24) == nil)
        #expect(
            problem([2, 3], .float32, bytes: 23)
                == .byteCount(tensor: "t", shape: [2, 3], format: .float32, expected: 24, found: 23))
        #expect(problem([-1, 3], .float32, bytes: 0) == .shapeOverflow(tensor: "t", shape: [-1, 3]))
        #expect(problem([1 << 62, 4], .float32, bytes: 0) == .shapeOverflow(tensor: "t", shape: [1 << 62, 4]))
        #expect(problem([1 << 61], .float32, bytes: 0) == .shapeOverflow(tensor: "t", shape: [1 << 61]))
        // Two rows of half a block each would fill a block together.
        #expect(problem([2, 16], .q8_0, bytes: 34) == .partialBlock(tensor: "t", columns: 16, format: .q8_0))
        for size in [0, 3, 6, -4] {
            #expect(
                problem([8, 1], .float32, bytes: 32, .interleavedHalves(headSize: size))
                    == .headSize(tensor: "t", rows: 8, headSize: size))
        }
    }

    @Test func pointsIntoAlignedFloatsOnly() throws {
        let tensor = try numbered([2, 3])
        #expect(tensor.float32Pointer?[5] == 5)
        #expect(try numbered([2, 3], .interleavedHalves(headSize: 2)).float32Pointer == nil)
        let shifted = MappedBytes(copying: [UInt8](repeating: 0, count: 9))[1..<9]
        let unaligned = try StoredTensor(name: "t", shape: [2], format: .float32, bytes: shifted)
        #expect(unaligned.float32Pointer == nil)
        #expect(unaligned.expandAll() == [0, 0])
        let other = try StoredTensor(name: "t", shape: [4], format: .float16, bytes: shifted)
        #expect(other.float32Pointer == nil)
    }

    @Test func bytesOutliveTheirOrigin() throws {
        var slice: MappedBytes? = MappedBytes(copying: (0..<100).map { UInt8($0) })[10..<20][5..<7]
        #expect(slice?.withUnsafeBytes { Array($0) } == [15, 16])
        #expect(slice?.count == 2)
        slice = nil
        let untyped = MappedBytes(copying: (0..<3).lazy.map { UInt8($0) })
        #expect(untyped.withUnsafeBytes { Array($0) } == [0, 1, 2])
    }
}
