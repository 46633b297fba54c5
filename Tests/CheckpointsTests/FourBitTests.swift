import Checkpoints
import TensorCore
import Testing

private let recorded = try! SafetensorsFile(fixture("bnb_nf4.safetensors"))

/// `MATRIX.TYPE.nf4.bSIZE[.dq]` of everything that was recorded.
private let cases = recorded.names.filter { $0.hasSuffix(".packed") }.map { String($0.dropLast(".packed".count)) }

private func matrix(_ name: String) throws -> FourBitMatrix {
    let parts = name.split(separator: ".")
    let blockSize = try #require(Int(parts[3].dropFirst()))
    func floats(_ part: String) throws -> [Float] { try recorded.tensor("\(name).\(part)").expandAll() }
    let scales = try recorded.entry("\(name).absmax").bytes
    return try FourBitMatrix(
        count: try recorded.tensor("\(parts[0]).\(parts[1]).input").elementCount,
        codes: try recorded.entry("\(name).packed").bytes, table: try recorded.tensor("code.\(parts[2])").expandAll(),
        blockSize: blockSize,
        scales: parts.last == "dq"
            ? .double(
                codes: scales, table: try floats("nested_quant_map"), groups: try floats("nested_absmax"), groupSize: 256,
                offset: try floats("offset")[0])
            : .single(scales))
}

private func bytes(_ bytes: MappedBytes) -> [UInt8] { bytes.withUnsafeBytes { Array($0) } }

@Test(arguments: cases)
func expandsRecordedMatricesExactly(name: String) throws {
    let expected = try recorded.tensor(name + ".dequant")
    let found = try StoredTensor(name: "t", shape: expected.shape, fourBit: matrix(name)).expandAll()
    // What was recorded is rounded to the type of the input.
    let rounded = found.map { value in
        switch expected.format {
        case .bfloat16: Float(bitPattern: (value.bitPattern &+ 0x7FFF &+ (value.bitPattern >> 16 & 1)) & 0xFFFF_0000)
        case .float16: Float(Float16(value))
        default: value
        }
    }
    #expect(rounded.map(\.bitPattern) == expected.expandAll().map(\.bitPattern))
}

@Test(arguments: cases.filter { $0.contains(".nf4.") }, [1, 3])
func packsExactlyAsBitsandbytes(name: String, threads: Int) throws {
    let parts = name.split(separator: ".")
    let input = try recorded.tensor("\(parts[0]).\(parts[1]).input")
    let compute = try Compute(threadCount: threads)
    let expected = try matrix(name)
    let found = try FourBitQuantizer.quantize(
        input, blockSize: expected.blockSize, doubleQuantization: parts.last == "dq", on: compute)
    #expect(bytes(found.codes) == bytes(expected.codes))
    switch (found.scales, expected.scales) {
    case (.single(let a), .single(let b)): #expect(bytes(a) == bytes(b))
    case (.double(let a, let table, let groups, 256, let offset), .double(let b, let itsTable, let itsGroups, _, let itsOffset)):
        #expect(bytes(a) == bytes(b))
        #expect(table == itsTable)
        #expect(groups.map(\.bitPattern) == itsGroups.map(\.bitPattern))
        #expect(offset.bitPattern == itsOffset.bitPattern)
    default: Issue.record("scales of another kind")
    }
}

@Test func refusesNumbersThatAreNotFinite() throws {
    let compute = try Compute(threadCount: 1)
    for bad in [Float.nan, .infinity, -.infinity] {
        var values = [Float](repeating: 1, count: 256)
        values[200] = bad
        let tensor = try StoredTensor(
            name: "t", shape: [4, 64], format: .float32, bytes: values.withUnsafeBytes { MappedBytes(copying: $0) })
        #expect(throws: FourBitProblem.notFinite(.scales)) {
            _ = try FourBitQuantizer.quantize(tensor, doubleQuantization: true, on: compute)
        }
    }
}

@Test func refusesPartsThatDoNotFit() throws {
    func build(count: Int = 100, codes: Int = 50, table: Int = 16, blockSize: Int = 64, scales: Int = 8) -> FourBitProblem? {
        do {
            _ = try FourBitMatrix(
                count: count, codes: MappedBytes(copying: [UInt8](repeating: 0, count: codes)),
                table: [Float](repeating: 0, count: table), blockSize: blockSize,
                scales: .single(MappedBytes(copying: [UInt8](repeating: 0, count: scales))))
            return nil
        } catch { return error }
    }
    #expect(build() == nil)
    #expect(build(codes: 49) == .partSize(.codes, expected: 50, found: 49))
    #expect(build(table: 15) == .partSize(.table, expected: 16, found: 15))
    #expect(build(scales: 4) == .partSize(.scales, expected: 8, found: 4))
    for size in [0, -64, 3, .max] { #expect(build(blockSize: size) == .blockSize(size)) }
}
