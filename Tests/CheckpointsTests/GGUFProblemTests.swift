import Checkpoints
import TensorCore
import Testing

private func problem(_ bytes: [UInt8]) -> GGUFProblem? {
    let error = checkpointError { _ = try GGUFFile(bytes: MappedBytes(copying: bytes), path: "t.gguf") }
    guard case .gguf("t.gguf", let problem) = error else { return nil }
    return problem
}

private func problem(_ edit: (inout GGUFBuilder) -> Void) -> GGUFProblem? {
    var builder = GGUFBuilder()
    edit(&builder)
    return problem(builder.bytes)
}

/// One test per way in which a GGUF file can lie.
@Suite struct GGUFProblemTests {
    @Test func aRightFileHasNoProblem() {
        let none = problem { builder in
            builder.add("k", type: 7, [1])
            builder.addTensor("t", [32, 2], type: 2, offset: 0)
            builder.data = [UInt8](repeating: 0, count: 36)
        }
        #expect(none == nil)
    }

    @Test func notAGGUFFile() {
        #expect(problem([]) == .notGGUF)
        #expect(problem(Array("GGU".utf8)) == .notGGUF)
        #expect(problem(Array("PK\u{3}\u{4}0000".utf8)) == .notGGUF)
    }

    @Test func version() {
        #expect(problem { $0.version = 1 } == .unsupportedVersion(1))
        #expect(problem { $0.version = 4 } == .unsupportedVersion(4))
        #expect(problem { $0.version = UInt32(3).byteSwapped } == .bigEndian)
    }

    @Test func endsTooEarly() {
        #expect(
            problem(Array("GGUF".utf8) + little(UInt32(3)))
                == .truncated(part: "the number of tensors", offset: 8, needed: 8, fileSize: 8))
        let string = problem { $0.add("k", type: 8, little(UInt64.max) + [65]) }
        #expect(string == .truncated(part: "k", offset: 45, needed: .max, fileSize: 64))
        let array = problem { $0.add("k", type: 9, little(UInt32(12)) + little(UInt64(8)) + [0, 0, 0, 0]) }
        #expect(array == .truncated(part: "k", offset: 49, needed: 64, fileSize: 64))
    }

    @Test func impossibleCounts() {
        #expect(
            problem { $0.tensorCount = .max }
                == .impossibleCount(part: "the number of tensors", count: .max, remaining: 16))
        #expect(
            problem { $0.keyCount = 1 << 40 }
                == .impossibleCount(part: "the number of metadata entries", count: 1 << 40, remaining: 8))
        for type: UInt32 in 0...12 {
            let array = problem { $0.add("k", type: 9, little(type) + little(UInt64(1) << 62)) }
            #expect(array == .impossibleCount(part: "k", count: 1 << 62, remaining: 15))
        }
    }

    @Test func badStrings() {
        #expect(problem { $0.add("k", type: 8, little(UInt64(1)) + [0xFF]) } == .badString(part: "k"))
        let inArray = little(UInt32(8)) + little(UInt64(2)) + GGUFBuilder.string("a") + little(UInt64(1)) + [0xC3]
        #expect(problem { $0.add("k", type: 9, inArray) } == .badString(part: "k[1]"))
    }

    @Test func badValues() {
        #expect(problem { $0.add("k", type: 13, [0]) } == .unknownValueType(part: "k", type: 13))
        let inArray = little(UInt32(77)) + little(UInt64(0))
        #expect(problem { $0.add("k", type: 9, inArray) } == .unknownValueType(part: "k", type: 77))
        #expect(problem { $0.add("k", type: 7, [2]) } == .badBool(part: "k", value: 2))
        let bools = little(UInt32(7)) + little(UInt64(2)) + [1, 9]
        #expect(problem { $0.add("k", type: 9, bools) } == .badBool(part: "k", value: 9))
    }

    @Test func deepNesting() {
        let level = little(UInt32(9)) + little(UInt64(1))
        let deep = (0..<10_000).flatMap { _ in level }
        #expect(problem { $0.add("k", type: 9, deep) } == .tooDeep(part: "k"))
    }

    @Test func duplicates() {
        let keys = problem { builder in
            builder.add("k", type: 0, [1])
            builder.add("k", type: 0, [1])
        }
        #expect(keys == .duplicateKey("k"))
        let tensors = problem { builder in
            builder.addTensor("t", [0], type: 0, offset: 0)
            builder.addTensor("t", [0], type: 0, offset: 0)
        }
        #expect(tensors == .duplicateTensor("t"))
    }

    @Test(arguments: [0, 3, 1 << 21, UInt32.max])
    func alignment(value: UInt32) {
        #expect(
            problem { $0.add("general.alignment", type: 4, little(value)) } == .badAlignment(UInt64(value)))
        #expect(
            problem { $0.add("general.alignment", type: 8, GGUFBuilder.string("32")) }
                == .wrongType(key: "general.alignment", expected: "an integer", found: "string"))
    }

    @Test func shapes() {
        let five = problem { $0.addTensor("t", [1, 1, 1, 1, 1], type: 0, offset: 0) }
        #expect(five == .tooManyDimensions(tensor: "t", count: 5))
        let huge = problem { $0.addTensor("t", [.max], type: 0, offset: 0) }
        #expect(huge == .shapeOverflow(tensor: "t", shape: [.max]))
        let product = problem { $0.addTensor("t", [1 << 32, 1 << 31], type: 0, offset: 0) }
        #expect(product == .shapeOverflow(tensor: "t", shape: [1 << 31, 1 << 32]))
        let bytes = problem { $0.addTensor("t", [1 << 62], type: 0, offset: 0) }
        #expect(bytes == .shapeOverflow(tensor: "t", shape: [1 << 62]))
        let block = problem { $0.addTensor("t", [48], type: 12, offset: 0) }
        #expect(block == .partialBlock(tensor: "t", columns: 48, type: "Q4_K", block: 256))
    }

    @Test func offsets() {
        let misaligned = problem { $0.addTensor("t", [0], type: 0, offset: 8) }
        #expect(misaligned == .misaligned(tensor: "t", offset: 8, alignment: 32))
        let beyond = problem { builder in
            builder.addTensor("t", [2], type: 0, offset: 0)
            builder.data = [1, 2, 3, 4, 5, 6, 7]
        }
        #expect(beyond == .dataBeyondFile(tensor: "t", offset: 0, byteCount: 8, available: 7))
        let far = problem { $0.addTensor("t", [1], type: 0, offset: .max - 31) }
        #expect(far == .dataBeyondFile(tensor: "t", offset: .max - 31, byteCount: 4, available: 0))
        let unknown = problem { $0.addTensor("t", [1], type: 99, offset: 1 << 63) }
        #expect(unknown == .dataBeyondFile(tensor: "t", offset: 1 << 63, byteCount: 0, available: 0))
    }

    @Test func overlap() {
        let overlapping = problem { builder in
            builder.addTensor("b", [9], type: 0, offset: 32)
            builder.addTensor("a", [9], type: 0, offset: 0)
            builder.data = [UInt8](repeating: 0, count: 68)
        }
        #expect(overlapping == .overlap(first: "a", second: "b"))
    }
}
