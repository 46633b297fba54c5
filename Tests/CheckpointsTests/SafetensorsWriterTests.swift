import Checkpoints
import Foundation
import TensorCore
import Testing

private func writingProblem(_ body: () throws -> Void) -> WritingProblem? {
    guard case .writing(_, let problem) = checkpointError(body) else { return nil }
    return problem
}

@Suite struct SafetensorsWriterTests {
    /// The recorded files come from the format's own library: the same tensors must give the same bytes.
    @Test(arguments: ["llama.safetensors", "gguf_blocks.safetensors"])
    func reproducesARecordedFileByteForByte(name: String) throws {
        let original = try SafetensorsFile(fixture(name))
        let declarations = try original.names.map { name in
            let entry = try original.entry(name)
            return TensorDeclaration(name: name, shape: entry.shape, type: entry.type)
        }
        try withFolder { folder in
            let url = folder.appendingPathComponent("copy.safetensors")
            try SafetensorsWriter.write(to: url, tensors: declarations.shuffled(), metadata: original.metadata) {
                writer in
                for name in original.names.shuffled() {
                    try original.entry(name).bytes.withUnsafeBytes { try writer.append($0, to: name) }
                }
            }
            #expect(try Data(contentsOf: url) == Data(contentsOf: fixture(name)))
            #expect(try listing(folder) == ["copy.safetensors"])
        }
    }

    @Test func roundTripsEveryFloatingPointType() throws {
        let values: [Float] = (0..<70_000).map { Float($0 % 251) - 125 }
        try withFolder { folder in
            let url = folder.appendingPathComponent("t.safetensors")
            let types: [SafetensorsType] = [.float32, .float16, .bfloat16]
            let tensors = types.map { TensorDeclaration(name: $0.rawValue, shape: [700, 100], type: $0) }
            try SafetensorsWriter.write(to: url, tensors: tensors) { writer in
                #expect(writer.tensors.map(\.name) == ["F32", "BF16", "F16"])
                for type in types {
                    try writer.append(Array(values[..<1_000]), to: type.rawValue)
                    try writer.append(Array(values[1_000...]), to: type.rawValue)
                }
            }
            let file = try SafetensorsFile(url)
            #expect(file.metadata == ["format": "pt"])
            for type in types {
                let stored = try file.tensor(type.rawValue).expandAll()
                #expect(stored == values)
            }
            let header = try Data(contentsOf: url).prefix(8)
            #expect(header[0] % 8 == 0)
        }
    }

    /// bfloat16 by comparison with the two neighbours instead of by bit tricks.
    @Test func roundsToNearestEven() throws {
        var random = SplitMix(state: 7)
        var values: [Float] = (0..<20_000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
        values += [0, -0.0, .infinity, -.infinity, .nan, .greatestFiniteMagnitude, .leastNonzeroMagnitude]
        values += [0x3F80_8000, 0x3F81_8000, 0x3F80_8001, 0x3F80_7FFF, 0x7FFF_FFFF, 0x7F80_0001].map(
            Float.init(bitPattern:))
        let stored = try withFolder { folder in
            let url = folder.appendingPathComponent("t.safetensors")
            let tensor = TensorDeclaration(name: "t", shape: [values.count], type: .bfloat16)
            try SafetensorsWriter.write(to: url, tensors: [tensor]) { try $0.append(values, to: "t") }
            return try SafetensorsFile(url).tensor("t").expandAll()
        }
        for (value, rounded) in zip(values, stored) {
            #expect(isNearest(rounded, to: value), "\(value) gave \(rounded)")
        }
    }

    private func isNearest(_ rounded: Float, to value: Float) -> Bool {
        if value.isNaN { return rounded.isNaN }
        let below = value.bitPattern & 0xFFFF_0000
        guard value.isFinite else { return rounded == value }
        let (low, high) = (Double(Float(bitPattern: below)), Double(Float(bitPattern: below &+ 0x1_0000)))
        // One step above the largest finite number stands for 2^128.
        let next = high.isInfinite ? (value < 0 ? -1 : 1) * 0x1p128 : high
        let (down, up) = (abs(Double(value) - low), abs(Double(value) - next))
        let expected = down < up || (down == up && below & 0x1_0000 == 0) ? below : below &+ 0x1_0000
        return rounded.bitPattern == expected
    }

    @Test func refusesWhatWouldGiveAWrongFile() throws {
        try withFolder { folder in
            let url = folder.appendingPathComponent("t.safetensors")
            let a = TensorDeclaration(name: "a", shape: [2], type: .float32)
            func write(_ tensors: [TensorDeclaration], _ body: (SafetensorsWriter) throws -> Void) -> WritingProblem? {
                writingProblem { try SafetensorsWriter.write(to: url, tensors: tensors, body) }
            }
            #expect(write([a, a]) { _ in } == .duplicateName("a"))
            let reserved = TensorDeclaration(name: "__metadata__", shape: [], type: .int8)
            #expect(write([reserved]) { _ in } == .reservedName("__metadata__"))
            let huge = TensorDeclaration(name: "h", shape: [1 << 40, 1 << 40], type: .int8)
            #expect(write([huge]) { _ in } == .shapeOverflow(tensor: "h", shape: [1 << 40, 1 << 40]))
            let full = TensorDeclaration(name: "f", shape: [.max], type: .int8)
            #expect(write([full]) { _ in } == .shapeOverflow(tensor: "f", shape: [.max]))
            #expect(write([a]) { try $0.append([Float](), to: "b") } == .notDeclared("b"))
            #expect(
                write([a]) { try $0.append([1, 2, 3], to: "a") } == .tooMuch(tensor: "a", expected: 8, found: 12))
            #expect(write([a]) { try $0.append([1], to: "a") } == .incomplete(tensor: "a", expected: 8, found: 4))
            let integers = TensorDeclaration(name: "i", shape: [1], type: .int32)
            #expect(write([integers]) { try $0.append([1], to: "i") } == .notConvertible(tensor: "i", type: .int32))
            let left = try listing(folder)
            #expect(left.isEmpty)
        }
    }

    @Test func refusesAtOnceWhatTheDiskCannotHold() throws {
        try withFolder { folder in
            let url = folder.appendingPathComponent("t.safetensors")
            let tensor = TensorDeclaration(name: "t", shape: [1 << 60], type: .int8)
            let error = checkpointError { _ = try SafetensorsWriter(creating: url, tensors: [tensor]) }
            #expect(error?.fileError?.kind == .full)
            let left = try listing(folder)
            #expect(left.isEmpty)
        }
    }

    @Test func writesShardsAndTheirIndex() throws {
        let tensors = (0..<5).map { TensorDeclaration(name: "t\($0)\"", shape: [$0 + 1], type: .float32) }
        try withFolder { folder in
            let writer = try ShardedSafetensorsWriter(folder: folder, tensors: tensors, maximumShardBytes: 16)
            for (index, tensor) in tensors.enumerated().reversed() {
                let values = [Float](repeating: Float(index), count: index + 1)
                try values.withUnsafeBufferPointer { try writer.append($0, to: tensor.name) }
            }
            try writer.finish()
            // 4 + 8, 12, 16, 20 (larger than the limit, so on its own) bytes.
            let files = (1...4).map { "model-0000\($0)-of-00004.safetensors" }
            #expect(writer.fileNames == files)
            #expect(try listing(folder) == files + ["model.safetensors.index.json"])
            let source = try ShardedSafetensors(folder: folder)
            #expect(source.files.map(\.names.count) == [2, 1, 1, 1])
            for (index, tensor) in tensors.enumerated() {
                let stored = try source.tensor(tensor.name).expandAll()
                #expect(stored == Array(repeating: Float(index), count: index + 1))
            }
            let text = try Data(contentsOf: folder.appendingPathComponent("model.safetensors.index.json"))
            let json = try #require(try JSONSerialization.jsonObject(with: text) as? [String: Any])
            #expect((json["metadata"] as? [String: Int]) == ["total_size": 60])
            #expect((json["weight_map"] as? [String: String])?["t4\""] == files[3])
        }
    }

    @Test func writesOneFileWithoutALimit() throws {
        try withFolder { folder in
            let tensor = TensorDeclaration(name: "t", shape: [], type: .bfloat16)
            let writer = try ShardedSafetensorsWriter(folder: folder, tensors: [tensor])
            try writer.append([1], to: "t")
            try writer.finish()
            #expect(try listing(folder) == ["model.safetensors"])
            #expect(try ShardedSafetensors(folder: folder).tensor("t").expandAll() == [1])
        }
    }
}
