import Foundation
import Recipes
import TensorCore
import Testing

/// Which folders a model may take the place of.
@Suite struct ReplacingTests {
    /// Why a folder that holds empty files of these names must stay.
    private func reason(_ files: [String]) throws -> String? {
        try withFolder { root in
            for file in files { try Data().write(to: root.appendingPathComponent(file)) }
            return BaseModel.reasonToKeep(root)
        }
    }

    @Test func onlyModelsAndEmptyFoldersMayGo() throws {
        let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
        let model = ["config.json", "tokenizer.json", "generation_config.json"]
        for files in [[], model + ["model.safetensors"], model + shards + ["model.safetensors.index.json"]] {
            #expect(try reason(files) == nil, "\(files)")
        }
        // Neither half makes a model: other programs have a config.json too.
        for files in [model, shards] { #expect(try reason(files) == "holds no model") }
        for other in ["README.md", "adapter_model.safetensors", ".git", "manifest.json", "model.gguf"] {
            #expect(try reason(model + shards + [other]) == "holds \(other), which this program does not write beside a model")
        }
    }

    @Test func aMergeThatIsStoppedLeavesNothing() throws {
        struct Stopped: Error {}
        let compute = try Compute(threadCount: 1)
        let base = try BaseModel.open(tinyModels.appendingPathComponent("llama").path)
        let merge = try ModelMerge(base: base, adapter: nil, on: compute)
        try withFolder { root in
            let place = root.appendingPathComponent("merged")
            for packing in [nil, Packing()] {
                #expect(throws: Stopped.self) {
                    _ = try merge.write(to: place, packing: packing) { done, _ in if done == 2 { throw Stopped() } }
                }
                let left = try FileManager.default.contentsOfDirectory(atPath: root.path)
                #expect(left.isEmpty, "\(left)")
            }
        }
    }

    @Test func aResumedRunStaysWhereItLies() throws {
        let yaml = "{model: {path: m}, data: {train: [{path: t.jsonl}]}, output: {directory: here}}"
        func directory(_ overrides: String...) throws -> String {
            try Recipe(yaml: yaml, file: "r.yaml", overrides: overrides).staying(in: "there", of: "x/there").output.directory
        }
        // What a file says is where another run began; what the command line says is meant.
        #expect(try directory() == "there")
        #expect(try directory("output.directory=there", "training.epochs=2") == "there")
        let error = #expect(throws: RecipeError.self) { try directory("output.directory=elsewhere") }
        #expect(error?.problems.map(\.key) == ["output.directory"])
        #expect(error?.description.contains("is elsewhere, but a run is resumed where it lies, in x/there; leave it out") == true)
    }
}
