import Checkpoints
import Foundation
import TensorCore
import Testing

/// A safetensors file with this header and so many bytes of data.
func safetensors(_ json: String, data: Int) -> [UInt8] {
    little(UInt64(json.utf8.count)) + json.utf8 + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
}

private func open(_ bytes: [UInt8]) throws -> SafetensorsFile {
    try SafetensorsFile(bytes: MappedBytes(copying: bytes), path: "test.safetensors")
}

private func problem(_ bytes: [UInt8]) -> SafetensorsProblem? {
    guard case .safetensors(let path, let problem) = checkpointError({ _ = try open(bytes) }) else { return nil }
    return path == "test.safetensors" ? problem : nil
}

private func problem(_ json: String, data: Int) -> SafetensorsProblem? { problem(safetensors(json, data: data)) }

private func entry(_ type: String, _ shape: String, _ offsets: String) -> String {
    #"{"dtype":"\#(type)","shape":\#(shape),"data_offsets":\#(offsets)}"#
}

@Suite struct SafetensorsFileTests {
    @Test func readsARecordedModel() throws {
        let file = try SafetensorsFile(fixture("llama.safetensors"))
        #expect(file.metadata == ["format": "pt"])
        #expect(file.names == file.names.sorted())
        let tensor = try file.tensor("model.embed_tokens.weight")
        #expect(tensor.shape == [288, 64])
        #expect(tensor.format == .bfloat16)
        let allFinite = tensor.expandAll().allSatisfy { $0.isFinite }
        #expect(allFinite)
        #expect(file.contains("lm_head.weight"))
        #expect(!file.contains("lm_head"))
    }

    @Test func readsEveryKindOfHeaderText() throws {
        let json = #"""
             {"__metadata__" : {"a\u00e9\ud83d\ude00":"x\n\"\/\\"} ,
              "s": {"dtype":"F32","shape":[],"data_offsets":[0,4],"extra":[1,{"b":null}, -1.5e3,true]},
              "é" : {"shape":[2,0,7],"data_offsets":[4,4],"dtype":"I64"},
              "u":{"dtype":"BOOL","shape":[3],"data_offsets":[4,7]}}
            """#
        let file = try open(safetensors(json + "   ", data: 7))
        #expect(file.metadata == ["aé😀": "x\n\"/\\"])
        #expect(file.names == ["s", "u", "é"])
        let scalar = try file.tensor("s")
        #expect(scalar.shape.isEmpty)
        #expect(scalar.rows == 1)
        #expect(try file.entry("é").elementCount == 0)
        #expect(try file.entry("u").integers() == [4, 5, 6])
    }

    @Test func handsOutIntegersAsBytesOnly() throws {
        let bytes = little(UInt64(64)) + #"{"i":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}          "#.utf8
        let file = try open(bytes + little(Int32(-7)) + little(Int32(8)))
        #expect(try file.entry("i").type == .int32)
        #expect(try file.entry("i").integers() == [-7, 8])
        #expect(
            checkpointError { _ = try file.tensor("i") }
                == .unsupportedType(path: "test.safetensors", tensor: "i", type: "I32"))
        #expect(checkpointError { _ = try file.entry("j") } == .noTensor(path: "test.safetensors", name: "j"))
    }

    @Test func refusesWhatCannotHoldAHeader() {
        #expect(problem([]) == .noHeader(fileSize: 0))
        #expect(problem([1, 0, 0, 0, 0, 0, 0]) == .noHeader(fileSize: 7))
        #expect(problem(little(UInt64(100_000_001))) == .headerTooLong(length: 100_000_001, limit: 100_000_000))
        #expect(problem(little(UInt64.max)) == .headerTooLong(length: .max, limit: 100_000_000))
        #expect(problem(little(UInt64(9)) + "{}".utf8) == .headerBeyondFile(length: 9, fileSize: 10))
    }

    @Test(arguments: [
        ("", JSONProblem.unexpectedEnd), ("{", .unexpectedEnd), ("[]", .expected("an object")),
        (#"{"a" 1}"#, .expected("a colon")), (#"{} {}"#, .trailingBytes), (#"{"a":{"shape":[1.5]}}"#, .badSize),
        (#"{"a":{"shape":[-1]}}"#, .badSize), (#"{"a":{"shape":[9223372036854775808]}}"#, .badSize),
        (#"{"a":{"shape":[1e3]}}"#, .badSize), (#"{"a\ud800":{}}"#, .badString), (#"{"a\x":{}}"#, .badString),
        (#"{"a":{"dtype":3}}"#, .expected("a string")), (#"{"a":{"b":nul}}"#, .expected("a value")),
        (#"{"a":{"b":[1 2]}}"#, .expected("a comma or the end of an array")), ("{\"a\nb\":{}}", .badString),
        (#"{"a":{},}"#, .expected("a string")),
        (#"{"a":{"b":"# + String(repeating: "[", count: 200) + "}}", .tooDeep),
    ])
    func refusesBadJSON(json: String, expected: JSONProblem) {
        // An entry that is empty would be reported before the text after it.
        let json = json.replacingOccurrences(of: #""a":{},"#, with: #""a":\#(entry("U8", "[0]", "[0,0]")),"#)
        guard case .badHeader(_, let found) = problem(json, data: 0) else {
            Issue.record("\(json) gives \(String(describing: problem(json, data: 0)))")
            return
        }
        #expect(found == expected)
    }

    @Test func refusesInvalidUTF8() {
        let json: [UInt8] = Array(#"{"a"#.utf8) + [0xFF] + Array(#"":{}}"#.utf8)
        #expect(problem(little(UInt64(json.count)) + json) == .badHeader(offset: 4, .badString))
    }

    @Test func refusesIncompleteEntries() {
        #expect(problem(#"{"a":{"shape":[],"data_offsets":[0,0]}}"#, data: 0) == .badEntry(tensor: "a", key: "dtype"))
        #expect(problem(#"{"a":{"dtype":"U8","data_offsets":[0,0]}}"#, data: 0) == .badEntry(tensor: "a", key: "shape"))
        let offsets = SafetensorsProblem.badEntry(tensor: "a", key: "data_offsets with two numbers")
        #expect(problem(#"{"a":{"dtype":"U8","shape":[]}}"#, data: 0) == offsets)
        #expect(problem(#"{"a":\#(entry("U8", "[]", "[0]"))}"#, data: 1) == offsets)
        #expect(problem(#"{"a":\#(entry("U8", "[]", "[0,1,1]"))}"#, data: 1) == offsets)
        #expect(
            problem(#"{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}"#, data: 1)
                == .badEntry(tensor: "a", key: "dtype"))
    }

    @Test func refusesDuplicateNames() {
        let twice = #"{"a":\#(entry("U8", "[1]", "[0,1]")),"a":\#(entry("U8", "[1]", "[1,2]"))}"#
        #expect(problem(twice, data: 2) == .duplicateName("a"))
    }

    @Test func refusesUnknownTypesByName() {
        #expect(problem(#"{"a":\#(entry("F7", "[1]", "[0,1]"))}"#, data: 1) == .unknownType(tensor: "a", type: "F7"))
    }

    @Test func refusesImpossibleShapes() {
        let shape = [1 << 32, 1 << 31]
        #expect(
            problem(#"{"a":\#(entry("U8", "[4294967296,2147483648]", "[0,1]"))}"#, data: 1)
                == .shapeOverflow(tensor: "a", shape: shape))
        #expect(
            problem(#"{"a":\#(entry("F32", "[4611686018427387904]", "[0,0]"))}"#, data: 0)
                == .shapeOverflow(tensor: "a", shape: [1 << 62]))
    }

    @Test func refusesOffsetsThatLie() {
        #expect(
            problem(#"{"a":\#(entry("U8", "[1]", "[1,0]"))}"#, data: 1)
                == .reversedOffsets(tensor: "a", begin: 1, end: 0))
        #expect(
            problem(#"{"a":\#(entry("U8", "[2]", "[0,2]"))}"#, data: 1)
                == .dataBeyondFile(tensor: "a", end: 2, available: 1))
        #expect(
            problem(#"{"a":\#(entry("F32", "[2]", "[0,4]"))}"#, data: 4)
                == .sizeMismatch(tensor: "a", expected: 8, found: 4))
    }

    @Test func refusesOverlapsAndHoles() {
        let overlapping = #"{"b":\#(entry("U8", "[2]", "[1,3]")),"a":\#(entry("U8", "[2]", "[0,2]"))}"#
        #expect(problem(overlapping, data: 3) == .overlap(first: "a", second: "b"))
        let apart = #"{"b":\#(entry("U8", "[1]", "[2,3]")),"a":\#(entry("U8", "[1]", "[0,1]"))}"#
        #expect(problem(apart, data: 3) == .hole(begin: 1, end: 2))
        #expect(problem(#"{"a":\#(entry("U8", "[1]", "[0,1]"))}"#, data: 3) == .hole(begin: 1, end: 3))
        #expect(problem("{}", data: 1) == .hole(begin: 0, end: 1))
        #expect(problem("{}", data: 0) == nil)
    }

    @Test func errorsNameTheFile() throws {
        let missing = checkpointError { _ = try SafetensorsFile(path: "/nowhere/model.safetensors") }
        #expect(missing?.fileError?.kind == .missing)
        #expect(missing?.description == "cannot open /nowhere/model.safetensors: No such file or directory")
        #expect(checkpointError { _ = try SafetensorsFile(fixtures) }?.path == fixtures.path)
        let short = checkpointError { _ = try open([1]) }
        #expect(short?.description.hasPrefix("test.safetensors: the file has 1 bytes") == true)
    }
}
