import Checkpoints
import Foundation
import Models
import Recipes
import TensorCore
import Testing
import Tokenization

/// Base models are opened whole or refused by name.
@Suite struct BaseModelTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 1) }

    @Test func folderAndGGUFAreTheSameModel() throws {
        let folder = try BaseModel.open(tinyModels.appendingPathComponent("llama").path)
        let file = try BaseModel.open(tinyModels.appendingPathComponent("llama-mixed.gguf").path)
        for base in [folder, file] {
            #expect(base.modelType == "llama" && base.stopTokens.contains(284))
            let model = try base.makeModel(on: compute)
            #expect(model.vocabularySize == 288 && model.layerCount == 3 && model.maximumLength == 512)
        }
        // The folder's config.json names another one.
        #expect(folder.stopTokens.contains(2))
        #expect(folder.tensors.names == file.tensors.names && folder.tensors.names.count == 30)
        let text = "Hello, martlet: 12 °C?"
        let (ours, theirs) = (try folder.requireTokenizer(), try file.requireTokenizer())
        #expect(ours.encode(text) == theirs.encode(text) && !ours.encode(text).isEmpty)
        #expect(folder.name == "llama" && file.name == "llama-mixed" && file.weightFiles.count == 1)
        #expect(try folder.requireTemplate().source.isEmpty == false)
        #expect(try folder.fingerprint() != file.fingerprint())
        #expect(try file.companions()["tokenizer.json"] != nil && folder.companions()["chat_template.jinja"] != nil)
    }

    @Test func pointsInTheNameOfAFolderAreNoEnding() throws {
        try withModelCopy { copy in
            let folder = copy.deletingLastPathComponent().appendingPathComponent("Tiny-3.2-1B-Instruct")
            try FileManager.default.moveItem(at: copy, to: folder)
            #expect(try BaseModel.open(folder.path).name == "Tiny-3.2-1B-Instruct")
        }
    }

    /// What goes into adapters: never the way to the model on this machine.
    @Test func modelsOfADownloadCacheHaveTheirNames() throws {
        try withModelCopy { copy in
            let cache = copy.deletingLastPathComponent().appendingPathComponent("models--acme--tiny-1B")
            let folder = cache.appendingPathComponent("snapshots/0123abcd")
            try FileManager.default.createDirectory(
                at: cache.appendingPathComponent("snapshots"), withIntermediateDirectories: true)
            try FileManager.default.moveItem(at: copy, to: folder)
            #expect(try BaseModel.open(folder.path).name == "acme/tiny-1B")
            let file = folder.appendingPathComponent("tiny.Q4.gguf")
            try FileManager.default.createSymbolicLink(
                at: file, withDestinationURL: tinyModels.appendingPathComponent("llama-mixed.gguf"))
            #expect(try BaseModel.open(file.path).name == "tiny.Q4")
        }
    }

    @Test func whatIsNoModelIsRefused() throws {
        #expect(
            message { _ = try BaseModel.open("/no/such/model") }
                == "/no/such/model: there is no such file or folder; give a Hugging Face model folder or a .gguf file")
        try withFolder { root in
            #expect(message { _ = try BaseModel.open(root.path) }.contains("config.json"))
            let file = root.appendingPathComponent("m.gguf")
            try Data("no model at all, but long enough for a header".utf8).write(to: file)
            #expect(message { _ = try BaseModel.open(file.path) }.contains(file.path))
        }
    }

    /// Slips that people make with the path of a model are answered with what to do.
    @Test func pathsOfNoModelAreAnsweredWithWhatWasMeant() throws {
        func answer(_ path: String) -> String { message { _ = try BaseModel.open(path) } }
        #expect(answer("acme-labs/Tiny-1B").contains("`hf download acme-labs/Tiny-1B --local-dir models/Tiny-1B`"))
        // A path of one character.
        #expect(answer("x").hasPrefix("x: there is no such file or folder; "))
        #expect(answer("~/tiny").contains("~ is not expanded here, write the whole path: /"))
        try withFolder { root in
            for name in ["Tiny-Q4.gguf", "other.gguf"] { try Data().write(to: root.appendingPathComponent(name)) }
            let folder = root.appendingPathComponent("folder-model")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Data().write(to: folder.appendingPathComponent("config.json"))
            for (slip, meant) in [
                ("Tiny-Q5.gguf", "Tiny-Q4.gguf"), ("Tiny-Q4", "Tiny-Q4.gguf"), ("folder-modle", "folder-model"),
            ] {
                #expect(answer("\(root.path)/\(slip)").hasSuffix("; did you mean \(root.path)/\(meant)?"))
            }
            #expect(answer("\(root.path)/quite-different").hasSuffix("; give a Hugging Face model folder or a .gguf file"))
            #expect(answer(root.path).hasSuffix("2 .gguf files; give the path of one, such as \(root.path)/Tiny-Q4.gguf"))
            try FileManager.default.removeItem(at: root.appendingPathComponent("Tiny-Q4.gguf"))
            #expect(answer(root.path).hasSuffix("a .gguf file; give its path: \(root.path)/other.gguf"))
        }
    }

    @Test func damagedFoldersAreRefused() throws {
        func refusal(_ damage: (URL) throws -> Void) throws -> String {
            try withModelCopy { copy in
                try damage(copy)
                return message { _ = try BaseModel.open(copy.path).makeModel(on: compute) }
            }
        }
        #expect(try refusal { _ in } == "")
        let remove = { (name: String) in
            { (copy: URL) in try FileManager.default.removeItem(at: copy.appendingPathComponent(name)) }
        }
        #expect(try refusal(remove("config.json")).contains("config.json"))
        #expect(try refusal(remove("model.safetensors")).contains("safetensors"))
        #expect(try refusal(remove("tokenizer_config.json")) == "")
        let unknown = try refusal {
            try change($0.appendingPathComponent("config.json")) { $0["model_type"] = "mamba" }
        }
        #expect(unknown.contains("mamba") && unknown.contains("llama") && unknown.contains("config.json"))
        #expect(
            try refusal { try change($0.appendingPathComponent("config.json")) { $0["model_type"] = 3 } }.contains(
                "model_type"))
        let half = { (name: String) in
            { (copy: URL) in
                let file = copy.appendingPathComponent(name)
                let bytes = try Data(contentsOf: file)
                try bytes.prefix(bytes.count / 2).write(to: file)
            }
        }
        for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
            #expect(try refusal(half(name)).contains(name), "\(name)")
        }
        #expect(
            try refusal {
                try change($0.appendingPathComponent("tokenizer.json")) { $0["model"] = ["type": "Imaginary"] }
            }
            .contains("tokenizer.json"))
        #expect(
            try refusal { try Data("{% if %}".utf8).write(to: $0.appendingPathComponent("chat_template.jinja")) }
                .contains("template"))
    }

    @Test func aTokenizerWithMoreIDsThanEmbeddingsIsRemarked() throws {
        try withModelCopy { copy in
            try change(copy.appendingPathComponent("tokenizer.json")) { object in
                var added = object["added_tokens"] as? [[String: Any]] ?? []
                added.append([
                    "id": 288, "content": "<|extra|>", "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true,
                ])
                object["added_tokens"] = added
            }
            let base = try BaseModel.open(copy.path)
            let remark = try #require(base.remark(on: base.makeModel(on: compute)))
            #expect(remark.contains("the tokenizer has 289 ids, but the model only 288 embeddings"))
            let usual = try BaseModel.open(tinyModels.appendingPathComponent("llama").path)
            #expect(try usual.remark(on: usual.makeModel(on: compute)) == nil)
        }
    }

    @Test func textNeedsATokenizerAndChatsATemplate() throws {
        try withModelCopy { copy in
            try FileManager.default.removeItem(at: copy.appendingPathComponent("chat_template.jinja"))
            let plain = try BaseModel.open(copy.path)
            #expect(message { _ = try plain.requireTemplate() }.contains("chat_template"))
            try FileManager.default.removeItem(at: copy.appendingPathComponent("tokenizer.json"))
            let bare = try BaseModel.open(copy.path)
            #expect(bare.tokenizer == nil && message { _ = try bare.requireTokenizer() }.contains("tokenizer.json"))
            #expect(try bare.makeModel(on: compute).layerCount == 3)
            #expect(try bare.tokenizerFingerprint() != plain.tokenizerFingerprint())
        }
    }
}
