import Checkpoints
import Foundation
import Models
import Recipes
import TensorCore
import Testing
import Tokenization

/// Base models packed on the way in, and the cache that keeps them.
@Suite struct PackingTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    private func numbers(_ model: BaseModel) throws -> [String: [Float]] {
        var numbers: [String: [Float]] = [:]
        for name in model.tensors.names { numbers[name] = try model.tensors.tensor(name).expandAll() }
        return numbers
    }

    /// The packed bytes of a tensor in 4 bits.
    private func codes(_ tensor: StoredTensor) -> [UInt8]? {
        guard case .fourBit(let matrix) = tensor.contents else { return nil }
        return matrix.codes.withUnsafeBytes { Array($0) }
    }

    private func pack(_ tensor: StoredTensor) throws -> StoredTensor {
        let matrix = try FourBitQuantizer.quantize(tensor, doubleQuantization: true, on: compute)
        return try StoredTensor(name: tensor.name, shape: tensor.shape, fourBit: matrix)
    }

    private func open(
        _ path: String, _ cache: URL, _ packing: Packing = Packing()
    ) throws -> (model: BaseModel, notes: [String]) {
        var notes: [String] = []
        let model = try PackedCache(cache).open(path, packing: packing, on: compute) { notes.append($0) }
        return (model, notes)
    }

    private var packedFolder: (URL) throws -> URL {
        { cache in
            let packed = cache.appendingPathComponent("packed")
            let name = try #require(try FileManager.default.contentsOfDirectory(atPath: packed.path).first)
            return packed.appendingPathComponent(name)
        }
    }

    @Test(arguments: ["llama", "llama-mixed.gguf"], [true, false])
    func packsLinearLayersOnly(name: String, embeddings: Bool) throws {
        let path = tinyModels.appendingPathComponent(name).path
        let plain = try BaseModel.open(path)
        try withFolder { root in
            let packed = try open(path, root, Packing(doubleQuantization: true, embeddings: embeddings)).model
            #expect(packed.name == plain.name && packed.path == path && packed.isPacked && !plain.isPacked)
            #expect(packed.tensors.names == plain.tensors.names)
            for name in packed.tensors.names { try check(name, packed, plain, embeddings) }
            _ = try packed.makeModel(on: compute)
            #expect(packed.tokenizer?.encode("Hello") == plain.tokenizer?.encode("Hello"))
        }
    }

    private func check(_ name: String, _ packed: BaseModel, _ plain: BaseModel, _ embeddings: Bool) throws {
        let (found, source) = (try packed.tensors.tensor(name), try plain.tensors.tensor(name))
        let isEmbedding = name.contains("embed_tokens") || name.contains("lm_head")
        if name.contains("_proj") || (isEmbedding && embeddings) {
            let expected = codes(try pack(source))
            #expect(expected != nil && codes(found) == expected)
        } else {
            let expected = isEmbedding ? StoredFormat.bfloat16 : source.format
            #expect(found.format == expected)
        }
    }

    @Test func theSecondStartDoesNotReadTheSource() throws {
        try withModelCopy { copy in
            let cache = copy.deletingLastPathComponent().appendingPathComponent("cache")
            let weights = copy.appendingPathComponent("model.safetensors")
            func setTime(_ seconds: Double) throws {
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSince1970: seconds)], ofItemAtPath: weights.path)
            }
            try setTime(1.5e9)
            let first = try open(copy.path, cache)
            #expect(first.notes.count == 1 && first.notes[0].contains("once"))
            let before = try numbers(first.model)
            // Other bytes under the same look: only a reader of the source would notice.
            let handle = try FileHandle(forWritingTo: weights)
            try handle.write(contentsOf: Data(repeating: 0xAA, count: 4096))
            try handle.close()
            try setTime(1.5e9)
            let second = try open(copy.path, cache)
            #expect(second.notes.isEmpty)
            #expect(try numbers(second.model) == before)
            #expect(try second.model.fingerprint() == first.model.fingerprint())
            // A changed look sends us back to the contents.
            try setTime(1e9)
            #expect(throws: (any Error).self) { try open(copy.path, cache) }
        }
    }

    @Test func theSameContentsElsewhereAreNotPackedAgain() throws {
        try withFolder { cache in
            let packings = [Packing(), Packing(doubleQuantization: false), Packing(embeddings: true)]
            for packing in packings { #expect(try open(tinyModels.appendingPathComponent("llama").path, cache, packing).notes.count == 1) }
            #expect(PackedCache(cache).entries().count == 3)
            try withModelCopy { copy in
                #expect(try open(copy.path, cache).notes.count == 1)  // expected.json and others are missing here
                try withFolder { elsewhere in
                    let moved = elsewhere.appendingPathComponent("moved")
                    try FileManager.default.copyItem(at: copy, to: moved)
                    #expect(try open(moved.path, cache).notes.isEmpty)
                }
            }
            try PackedCache(cache).remove(PackedCache(cache).entries())
            #expect(PackedCache(cache).entries().isEmpty)
        }
    }

    @Test func aDamagedCopyIsMadeAgain() throws {
        let path = tinyModels.appendingPathComponent("llama").path
        let damages: [(URL) throws -> Void] = [
            { folder in
                let file = folder.appendingPathComponent("model.safetensors")
                var data = try Data(contentsOf: file)
                data[data.count - 5] ^= 1
                try data.write(to: file)
            },
            { folder in
                let file = folder.appendingPathComponent("model.safetensors")
                try Data(contentsOf: file).dropLast(100).write(to: file)
            },
            { try FileManager.default.removeItem(at: $0.appendingPathComponent("model.safetensors")) },
            { try Data("{}".utf8).write(to: $0.appendingPathComponent("config.json")) },
            { try Data("{}".utf8).write(to: $0.appendingPathComponent("martlet.json")) },
        ]
        try withFolder { cache in
            let before = try numbers(try open(path, cache).model)
            for damage in damages {
                try damage(try packedFolder(cache))
                let again = try open(path, cache)
                #expect(again.notes.contains { $0.contains("cannot be trusted") })
                #expect(try numbers(again.model) == before)
                #expect(try open(path, cache).notes.isEmpty)
            }
        }
    }

    @Test func withoutACacheModelsArePackedInMemory() throws {
        let path = tinyModels.appendingPathComponent("llama").path
        try withFolder { root in
            // A file where the folder should be.
            let blocked = root.appendingPathComponent("cache")
            try Data().write(to: blocked)
            let above = try open(path, blocked.appendingPathComponent("above/cache"))
            #expect(above.notes.count == 1 && above.notes[0].contains("in memory"))
            let inMemory = try open(path, blocked)
            #expect(inMemory.notes.count == 1 && inMemory.notes[0].contains("in memory"))
            let cached = try open(path, root.appendingPathComponent("other"))
            #expect(try numbers(inMemory.model) == numbers(cached.model))
            #expect(try inMemory.model.fingerprint() == cached.model.fingerprint())
        }
    }

    /// What processes that were killed while packing leave is deleted: by whoever packs next, and when the cache is looked at.
    @Test func leftoversOfKilledPackingAreDeleted() throws {
        let path = tinyModels.appendingPathComponent("llama").path
        try withFolder { cache in
            let packed = cache.appendingPathComponent("packed")
            // No process has the number 99999999: it is above the system's limit.
            let name = "." + String(repeating: "ab", count: 32) + ".tmp-99999999"
            func leave() throws {
                try FileManager.default.createDirectory(
                    at: packed.appendingPathComponent(name), withIntermediateDirectories: true)
            }
            func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: packed.path) }
            try leave()
            _ = try open(path, cache)
            #expect(try names().count == 1 && !names().contains(name))
            try leave()
            PackedCache(cache).recover()
            #expect(try names().count == 1 && !names().contains(name))
            #expect(PackedCache(cache).entries().map(\.source) == [path])
            let tokens = cache.appendingPathComponent("data/tokens/\(name)")
            try FileManager.default.createDirectory(at: tokens, withIntermediateDirectories: true)
            DataCache(PackedCache(cache)).recover()
            #expect(!FileManager.default.fileExists(atPath: tokens.path))
        }
    }

    @Test func aPackedModelIsUsedAsItIs() throws {
        try withFolder { cache in
            let path = tinyModels.appendingPathComponent("llama-bnb-4bit-dq").path
            let (model, notes) = try open(path, cache)
            #expect(model.isPacked && notes.isEmpty && PackedCache(cache).entries().isEmpty)
        }
    }

    @Test func otherQuantisationsAreRefusedByName() throws {
        try withModelCopy { copy in
            try change(copy.appendingPathComponent("config.json")) { $0["quantization_config"] = ["quant_method": "gptq"] }
            #expect(message { _ = try BaseModel.open(copy.path) }.contains("quantised by gptq"))
        }
    }

    @Test func weightsThatAreNotFiniteAreNamed() throws {
        try withModelCopy { copy in
            let file = copy.appendingPathComponent("model.safetensors")
            let weight = "model.layers.1.mlp.up_proj.weight"
            let range = try SafetensorsFile(file).entry(weight).bytes.withUnsafeBytes { bytes in
                try Data(contentsOf: file).range(of: Data(bytes))
            }
            var data = try Data(contentsOf: file)
            let start = try #require(range).lowerBound
            (data[start], data[start + 1]) = (0x80, 0x7F)
            try data.write(to: file)
            let cache = copy.deletingLastPathComponent().appendingPathComponent("cache")
            #expect(message { _ = try open(copy.path, cache) }.contains("tensor \(weight) cannot be packed in 4 bits"))
            #expect(PackedCache(cache).entries().isEmpty)
        }
    }
}
