import Checkpoints
import Foundation
import Models
import Recipes
import TensorCore
import Tokenization

/// Readers of tensors. Whatever is accepted is read to its last byte.
enum FuzzWeights {
    private static let compute = try? Compute(precision: .float32, threadCount: 1)

    private static func touch(_ source: some TensorSource) {
        for name in source.names {
            guard let tensor = try? source.tensor(name) else { continue }
            let count = tensor.shape.reduce(1, *)
            require(tensor.expandAll().count == count, "a tensor has as many values as its shape says")
        }
    }

    static func safetensors(_ input: Data) {
        guard let file = try? SafetensorsFile(bytes: MappedBytes(copying: input), path: "fuzz") else { return }
        for name in file.names { _ = try? file.entry(name).bytes.checksum() }
        touch(file)
    }

    static func gguf(_ input: Data) {
        guard let file = try? GGUFFile(bytes: MappedBytes(copying: input), path: "fuzz") else { return }
        touch(file)
        guard let (tokenizer, template) = try? BaseModel.readTokenizer(file) else { return }
        if let tokenizer { _ = tokenizer.decode(tokenizer.encode("Hello wörld ▁x")) }
        _ = template
        let place = FuzzFolder.write(input, "fuzz.gguf")
        _ = try? BaseModel.open(place.path)
    }

    static func shards(_ input: Data) {
        for part in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
            FuzzFolder.add("ModelsTests/Fixtures/mixtral/\(part)", as: part)
        }
        _ = FuzzFolder.write(input, "model.safetensors.index.json")
        guard let source = try? ShardedSafetensors(folder: FuzzFolder.url) else { return }
        for file in source.files {
            require((file.path as NSString).deletingLastPathComponent == FuzzFolder.url.path, "shards lie in the folder")
        }
        touch(source)
    }

    static func bitsandbytes(_ input: Data) {
        _ = FuzzFolder.write(input, "model.safetensors")
        guard let source = try? ShardedSafetensors(folder: FuzzFolder.url) else { return }
        touch(BitsandbytesTensors(source))
    }

    static func manifest(_ input: Data) {
        guard let compute else { return }
        FuzzFolder.add("ModelsTests/Fixtures/llama-bnb-4bit/model.safetensors", as: "model.safetensors")
        FuzzFolder.add("ModelsTests/Fixtures/llama-bnb-4bit/config.json", as: "config.json")
        _ = FuzzFolder.write(input, PackedManifest.fileName)
        _ = PackedManifest.problem(in: FuzzFolder.url, digest: FileDigest.sha256(of: Data()), on: compute)
    }

    /// The first half of the input up to a zero byte is the configuration, the rest the weights.
    static func adapter(_ input: Data) {
        guard let compute else { return }
        let end = input.firstIndex(of: 0) ?? input.endIndex
        _ = FuzzFolder.write(Data(input[..<end]), "adapter_config.json")
        _ = FuzzFolder.write(Data(input[end...].dropFirst()), "adapter_model.safetensors")
        _ = try? AdapterFolder.expertLayout(of: FuzzFolder.url)
        _ = try? AdapterFolder(FuzzFolder.url, on: compute)
    }
}
