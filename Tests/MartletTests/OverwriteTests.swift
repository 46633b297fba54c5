import Foundation
import Testing

/// `--overwrite` replaces what the program has written itself, and nothing else.
@Suite struct OverwriteTests {
    /// Everything in the folder, with its contents.
    private func snapshot(_ scratch: Scratch) throws -> [String: Data?] {
        let files = scratch.files().filter { !$0.hasPrefix("cache") }
        return Dictionary(uniqueKeysWithValues: files.map { ($0, try? scratch.data($0)) })
    }

    /// The command is refused with one sentence and leaves everything as it was.
    private func expectRefusal(
        _ scratch: Scratch, _ arguments: [String], _ sentence: String, at location: SourceLocation = #_sourceLocation
    ) throws {
        let before = try snapshot(scratch)
        let result = try Program.run(arguments, in: scratch)
        #expect(result.status == 73, "\(result.errors)", sourceLocation: location)
        #expect(result.errors.hasPrefix("error: ") && result.errors.contains(sentence), "\(result.errors)", sourceLocation: location)
        #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)", sourceLocation: location)
        #expect(try snapshot(scratch) == before, sourceLocation: location)
    }

    private func folder(_ name: String, in scratch: Scratch) throws {
        try FileManager.default.createDirectory(atPath: scratch.path(name), withIntermediateDirectories: true)
    }

    private func link(_ name: String, to target: String, in scratch: Scratch) throws {
        try FileManager.default.createSymbolicLink(atPath: scratch.path(name), withDestinationPath: target)
    }

    @Test(arguments: ["merge", "quantize"])
    func whatIsNoModelIsLeftAlone(command: String) throws {
        let scratch = try Scratch()
        try folder("mine", in: scratch)
        try scratch.write("my thesis", to: "mine/thesis.txt")
        try scratch.write("plain", to: "file")
        try scratch.copy(Program.adapter, as: "adapter")
        for name in ["noted", "nested", "linked"] { try scratch.copy(Program.llama, as: name) }
        try scratch.write("my thesis", to: "noted/thesis.txt")
        try folder("nested/vocab.json", in: scratch)
        try link("link", to: "linked", in: scratch)
        for (output, sentence) in [
            ("mine", "mine exists already and holds thesis.txt, which"), ("file", "file exists already and is no folder, so"),
            ("adapter", "holds adapter_config.json"), ("noted", "holds thesis.txt"), ("nested", "holds vocab.json"),
            ("link", "is a symbolic link"),
        ] {
            // With and without the option: nobody is told to use it where it does not help.
            for option in [["--overwrite"], []] {
                try expectRefusal(scratch, [command, "--model", Program.llama, "--output", output] + option, sentence)
            }
        }
    }

    @Test func whatACommandReadsIsLeftAlone() throws {
        let scratch = try Scratch()
        for name in ["tiny", "base", "outer", "shared"] { try scratch.copy(Program.llama, as: name) }
        try scratch.copy(Program.adapter, as: "adapter")
        try scratch.copy(Program.gguf, as: "outer/model-a.safetensors")
        try link("link", to: "tiny", in: scratch)
        // A model whose weights are those of another.
        try scratch.copy(Program.llama, as: "borrower")
        try scratch.remove("borrower/model.safetensors")
        try link("borrower/model.safetensors", to: "../shared/model.safetensors", in: scratch)
        let cases: [(arguments: [String], input: String)] = [
            (["merge", "--model", "tiny", "--output", "tiny"], "--model"),
            (["quantize", "--model", "tiny", "--output", "./tiny/"], "--model"),
            (["quantize", "--model", "link", "--output", "tiny"], "--model"),
            (["merge", "--model", "link", "--output", "link"], "--model"),
            (["quantize", "--model", "borrower", "--output", "shared"], "--model"),
            (["quantize", "--model", "outer/model-a.safetensors", "--output", "outer"], "--model"),
            (["merge", "--model", Program.llama, "--adapter", "adapter", "--output", "adapter"], "--adapter"),
            (["merge", "--model", "tiny", "--base", "base", "--adapter", "adapter", "--output", "base"], "--base"),
        ]
        for (arguments, input) in cases {
            try expectRefusal(scratch, arguments + ["--overwrite"], "is or holds what \(input) reads, so it is left alone")
        }
    }

    @Test(arguments: ["merge", "quantize"])
    func modelsAndEmptyFoldersAreReplaced(command: String) throws {
        let scratch = try Scratch()
        try folder("out", in: scratch)
        for _ in 0..<2 {
            let result = try Program.run([command, "--model", Program.llama, "--output", "out", "--overwrite"], in: scratch)
            #expect(result.status == 0, "\(result.errors)")
            #expect(scratch.exists("out/model.safetensors") && scratch.exists("out/config.json"))
            try scratch.truncate("out/model.safetensors", to: 3)
        }
        try expectRefusal(scratch, [command, "--model", Program.llama, "--output", "out"], "replace it with --overwrite")
    }

    /// Replaced, it would be gone under the feet of the command and of the shell that started it.
    @Test func theFolderThatTheCommandRunsInIsLeftAlone() throws {
        let scratch = try Scratch()
        let sentence = "is or holds the folder that the command runs in, which would be replaced; choose another "
        for command in ["merge", "quantize"] {
            try expectRefusal(scratch, [command, "--model", Program.llama, "--output", ".", "--overwrite"], ". " + sentence + "--output")
        }
        try scratch.writeRecipe()
        #expect(try Program.run(["train", "recipe.yaml"], in: scratch).status == 0)
        let again = try Program.shell("cd run/checkpoints && $M train ../../recipe.yaml output.directory=.. --overwrite", in: scratch)
        #expect(again.status == 73 && again.errors == "error: .. \(sentence)output.directory\n", "\(again.errors)")
        #expect(scratch.exists("run/adapter/adapter_config.json"))
        let resumed = try Program.shell("cd run && $M train --resume . training.steps=4 --allow-change training.steps", in: scratch)
        #expect(resumed.status == 0 && scratch.exists("run/checkpoints/step-000004"), "\(resumed.errors)")
    }

    /// A shell's variable that is not set would name the folder that the command runs in.
    @Test func anEmptyPathIsNoFolder() throws {
        let scratch = try Scratch()
        let merge = ["merge", "--model", Program.llama, "--overwrite"]
        for (arguments, option) in [
            (merge + ["--output", ""], "--output"), (merge + ["--output="], "--output"), (["train", "--resume", ""], "--resume"),
            (["generate", "--model", Program.llama, "--adapter", "", "--prompt", ""], "--adapter"),
        ] {
            let result = try Program.run(arguments, in: scratch)
            #expect(result.status == 64 && result.errors == "error: \(option) is empty, expected the path of a file or folder\n", "\(result.errors)")
        }
        #expect(scratch.files().isEmpty)
        #expect(try Program.run(["tokenize", "--model", Program.llama, "--text", ""], in: scratch).status == 0)
    }

    @Test func aRunIsReplacedOnlyIfNothingElseGoesWithIt() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        #expect(try Program.run(["train", "recipe.yaml"], in: scratch).status == 0)
        let again = ["train", "recipe.yaml", "--overwrite"]
        try expectRefusal(scratch, again + ["adapter.path=run/adapter"], "run is or holds what adapter.path reads")
        try scratch.copy(Program.llama, as: "run/served")
        try expectRefusal(scratch, again, "run exists already and holds served, which belongs to no run")
        try scratch.remove("run/served")
        try scratch.write("half", to: "run/.metrics.jsonl.tmp-4194303")
        #expect(try Program.run(again, in: scratch).status == 0)
    }

    /// A folder that is named as the cache by mistake keeps what it has under the names that the cache uses.
    @Test func pruningLeavesForeignFoldersAlone() throws {
        let scratch = try Scratch()
        let seen = String(repeating: "a", count: 64)
        for name in ["sources", "data/sources"] {
            try folder(name, in: scratch)
            try scratch.write("mine", to: name + "/main.c")
            try scratch.write("noted", to: name + "/" + seen)
        }
        #expect(try Program.run(["cache", "prune", "--cache", "."], in: scratch).status == 0)
        #expect(scratch.files().filter { $0.hasSuffix(".c") || $0.hasSuffix(seen) } == ["data/sources/main.c", "sources/main.c"])
    }
}
