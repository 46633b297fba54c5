import Checkpoints
import Foundation
import TensorCore
import Testing

@Suite struct GGUFFileTests {
    @Test func readsEveryMetadataType() throws {
        let file = try GGUFFile(fixture("tiny.gguf"))
        let expected: [String: GGUFValue] = [
            "test.string": .string("héllo 👋"), "test.u8": .uint8(200), "test.i8": .int8(-5),
            "test.u16": .uint16(60_000), "test.i16": .int16(-30_000), "test.u32": .uint32(4_000_000_000),
            "test.i32": .int32(-2_000_000_000), "test.f32": .float32(0.1), "test.u64": .uint64(1 << 60),
            "test.i64": .int64(-1 << 60), "test.f64": .float64(0.1), "test.true": .bool(true),
            "test.false": .bool(false), "test.strings": .array(.string(["a", "", "ß", "日本"])),
            "test.ints": .array(.int32([1, -2, 3])), "test.floats": .array(.float32([0.5, -1.25])),
            "test.bools": .array(.bool([true, false, true])),
        ]
        for (key, value) in expected { #expect(file.metadata[key] == value) }
        guard case .array(.array(let nested)) = file.metadata["test.nested"] else {
            Issue.record("test.nested is \(String(describing: file.metadata["test.nested"]))")
            return
        }
        #expect(nested.flatMap { $0.integers ?? [] } == [1, 2, 3])
        #expect(file.version == 3)
        #expect(file.alignment == 32)
        #expect(file.keys.first == "general.architecture")
        #expect(Set(file.keys) == Set(file.metadata.keys))
    }

    @Test func accessesMetadataByType() throws {
        let file = try GGUFFile(fixture("tiny.gguf"))
        #expect(try file.string("general.architecture") == "llama")
        #expect(try file.integer("test.u64") == 1 << 60)
        #expect(try file.integer("test.i8") == -5)
        #expect(try file.number("test.f64") == 0.1)
        #expect(try file.number("llama.context_length") == 512)
        #expect(try file.bool("test.true"))
        #expect(try file.stringArray("test.strings").last == "日本")
        #expect(try file.integerArray("test.ints") == [1, -2, 3])
        #expect(try file.floatArray("test.floats") == [0.5, -1.25])
        #expect(try file.integer("absent", default: 7) == 7)
        #expect(try file.string("absent", default: "x") == "x")
        #expect(try file.number("absent", default: 0.5) == 0.5)
        #expect(try file.bool("absent", default: true))
        #expect(file.has("test.u8"))
        #expect(!file.has("absent"))
    }

    @Test func errorsNameKeyAndFile() throws {
        let file = try GGUFFile(fixture("tiny.gguf"))
        let missing = checkpointError { _ = try file.string("general.absent") }
        #expect(missing == .gguf(path: file.path, .missingKey("general.absent")))
        #expect(missing?.description == "\(file.path): the metadata lack general.absent")
        let wrong = checkpointError { _ = try file.integer("test.string", default: 1) }
        #expect(
            wrong == .gguf(path: file.path, .wrongType(key: "test.string", expected: "an integer", found: "string")))
        let array = checkpointError { _ = try file.stringArray("test.ints") }
        #expect(
            array?.description.hasSuffix("test.ints should be an array of string, but is an array of int32") == true)
        #expect(checkpointError { _ = try file.floatArray("test.ints") } != nil)
        #expect(checkpointError { _ = try file.tensor("absent") } == .noTensor(path: file.path, name: "absent"))
    }

    @Test func expandsEveryTensorExactly() throws {
        let file = try GGUFFile(fixture("tiny.gguf"))
        let blocks = try SafetensorsFile(fixture("gguf_blocks.safetensors"))
        #expect(file.names.count == 9)
        for name in file.names where name != "t.F32" {
            let expected = try blocks.tensor("\(name.dropFirst(2)).dequant")
            let tensor = try file.tensor(name)
            #expect(tensor.shape == [4, 512])
            #expect(tensor.expandAll().map(\.bitPattern) == expected.expandAll().map(\.bitPattern))
        }
        let plain = try file.tensor("t.F32")
        #expect(plain.shape == [3, 5])
        #expect(plain.expandAll()[0] == 1.1832301616668701)
        #expect(plain.expandAll()[14] == -0.6483808159828186)
    }

    /// Every tensor of a complete model has the recorded type and shape, and is near the bfloat16 original.
    @Test func readsACompleteModel() throws {
        let file = try GGUFFile(fixture("llama-mixed.gguf"))
        let text = try Data(contentsOf: fixture("llama-mixed.json"))
        let json = try #require(try JSONSerialization.jsonObject(with: text) as? [String: Any])
        let tensors = try #require(json["tensors"] as? [String: [Any]])
        #expect(file.names == tensors.keys.sorted())
        for (name, description) in tensors {
            let info = try file.info(name)
            #expect(info.type.description == description[0] as? String)
            #expect(info.shape == (description[1] as? [Int])?.reversed())
        }
        #expect(try file.stringArray("tokenizer.ggml.tokens").count == 288)
        let original = try SafetensorsFile(fixture("llama.safetensors"))
        let pairs: [(String, String, RowOrder)] = [
            ("blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight", .interleavedHalves(headSize: 16)),
            ("blk.1.attn_k.weight", "model.layers.1.self_attn.k_proj.weight", .interleavedHalves(headSize: 16)),
            ("blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight", .plain),
            ("blk.2.ffn_gate.weight", "model.layers.2.mlp.gate_proj.weight", .plain),
            ("token_embd.weight", "model.embed_tokens.weight", .plain),
        ]
        for (name, counterpart, order) in pairs {
            let stored = try file.tensor(name, rowOrder: order).expandAll()
            let exact = try original.tensor(counterpart).expandAll()
            let error = zip(stored, exact).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
            let norm = exact.reduce(Float(0)) { $0 + $1 * $1 }
            #expect((error / norm).squareRoot() < 0.1, "\(name)")
        }
        let unordered = try file.tensor("blk.1.attn_q.weight").expandAll()
        let exact = try original.tensor("model.layers.1.self_attn.q_proj.weight").expandAll()
        #expect(zip(unordered, exact).contains { abs($0 - $1) > 0.05 })
    }

    @Test func listsButRefusesOtherTypesByName() throws {
        var builder = GGUFBuilder()
        builder.addTensor("a", [256], type: 10, offset: 0)
        builder.addTensor("b", [3], type: 99, offset: 96)
        builder.addTensor("c", [2], type: 26, offset: 128)
        builder.data = [UInt8](repeating: 1, count: 136)
        let file = try GGUFFile(bytes: MappedBytes(copying: builder.bytes), path: "t.gguf")
        #expect(file.tensors.map(\.type.description) == ["Q2_K", "type 99", "I32"])
        #expect(try file.info("a").bytes?.count == 84)
        #expect(try file.info("b").bytes?.count == nil)
        #expect(try file.info("c").bytes?.count == 8)
        let q2 = checkpointError { _ = try file.tensor("a") }
        #expect(q2 == .unsupportedType(path: "t.gguf", tensor: "a", type: "Q2_K"))
        #expect(q2?.description.hasPrefix("t.gguf: tensor a has type Q2_K, which cannot be computed with") == true)
        #expect(checkpointError { _ = try file.tensor("b") }?.description.contains("type 99") == true)
        #expect(checkpointError { _ = try file.tensor("c") }?.description.contains("I32") == true)
    }

    @Test func readsVersionTwoAndOtherAlignments() throws {
        var builder = GGUFBuilder()
        (builder.version, builder.alignment) = (2, 64)
        builder.add("general.alignment", type: 4, little(UInt32(64)))
        builder.addTensor("t", [], type: 0, offset: 64)
        builder.data = [UInt8](repeating: 0, count: 64) + little(Float(2.5).bitPattern)
        let file = try GGUFFile(bytes: MappedBytes(copying: builder.bytes), path: "t.gguf")
        #expect(file.version == 2)
        #expect(try file.tensor("t").expandAll() == [2.5])
    }

    /// Time of this thread only, since the machine may be busy. The aim is 0.2 s; a reader that is quadratic or copies
    /// more than once needs far more than the limit.
    @Test func readsAMillionStringsFast() throws {
        let count = 1_000_000
        var value = little(UInt32(8)) + little(UInt64(count))
        value.reserveCapacity(20 * count)
        for index in 0..<count { value += GGUFBuilder.string("token\(index)") }
        var builder = GGUFBuilder()
        builder.add("tokenizer.ggml.tokens", type: 9, value)
        let bytes = MappedBytes(copying: builder.bytes)
        let start = threadSeconds()
        let file = try GGUFFile(bytes: bytes, path: "t.gguf")
        let elapsed = threadSeconds() - start
        #expect(try file.stringArray("tokenizer.ggml.tokens")[999_999] == "token999999")
        #expect(elapsed < 3, "\(elapsed) seconds")
    }

    private func threadSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
