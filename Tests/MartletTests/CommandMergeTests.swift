import Foundation
import Testing

@Suite struct CommandMergeTests {
    private func merge(_ model: String, _ rest: String..., in scratch: Scratch) throws -> Program.Result {
        try Program.run(["merge", "--model", model, "--output", "merged", "--json"] + rest, in: scratch)
    }

    @Test(arguments: [
        (Program.llama, Program.adapter, "float32", 7.708520412445068, 1e-5),
        (Program.llama, Program.adapter, "bfloat16", 7.708520412445068, 0.02),
        (Program.gguf, nil, "float32", 7.613877296447754, 1e-5),
    ] as [(String, String?, String, Double, Double)])
    func theFolderComputesTheSame(model: String, adapter: String?, type: String, loss: Double, tolerance: Double) throws {
        let scratch = try Scratch()
        let options = adapter.map { ["--adapter", $0] } ?? []
        let result = try Program.run(
            ["merge", "--model", model, "--output", "merged", "--dtype", type, "--json"] + options, in: scratch)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.json["changed_tensors"] as? Int == (adapter == nil ? 0 : 21))
        for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
            #expect(scratch.exists("merged/" + file), "\(file)")
        }
        #expect(try scratch.read("merged/config.json").contains("\"\(type)\""))
        let eval = try Program.eval(scratch.path("merged"))
        #expect(abs(try #require(eval.json["loss"] as? Double) - loss) < tolerance)
    }

    @Test func anExistingFolderIsNotTouched() throws {
        let scratch = try Scratch()
        try FileManager.default.createDirectory(atPath: scratch.path("merged"), withIntermediateDirectories: false)
        let result = try merge(Program.llama, in: scratch)
        #expect(result.status == 73)
        #expect(result.message.contains("merged exists already"))
        #expect(scratch.files() == ["merged"])
    }

    @Test(arguments: [("zero", "changes no weight"), ("nan", "differ")])
    func anAdapterWithoutUseIsRefused(kind: String, sentence: String) throws {
        let scratch = try Scratch()
        try scratch.copy(Program.adapter, as: "a")
        var bytes = try scratch.data("a/adapter_model.safetensors")
        let header = 8 + bytes.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
        // B zero everywhere, or one weight of A not a number.
        if kind == "zero" {
            bytes.replaceSubrange(header..., with: Data(count: bytes.count - header))
        } else {
            bytes.replaceSubrange(header..<header + 4, with: [0, 0, 0xC0, 0x7F])
        }
        try scratch.write(bytes, to: "a/adapter_model.safetensors")
        let result = try merge(Program.llama, "--adapter", "a", in: scratch)
        #expect(result.status == 65)
        #expect(result.message.contains(sentence), "\(result.message)")
        #expect(!scratch.files().contains { $0.contains("merged") })
    }
}
