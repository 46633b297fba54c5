import Foundation
import Testing

/// Wrong recipes and impossible places: the right exit code, one sentence with the place, and no run folder.
@Suite struct HostileRecipeTests {
    private func refuses(_ status: Int32, _ sentence: String, in scratch: Scratch, _ rest: [String] = []) throws {
        let before = scratch.files()
        let result = try Program.run(["train", "recipe.yaml"] + rest, in: scratch)
        #expect(!result.wasKilled)
        #expect(result.status == status, "\(result.errors)")
        #expect(result.output.isEmpty)
        #expect(result.errors.contains(sentence), "\(result.errors)")
        #expect(scratch.files() == before)
    }

    @Test(arguments: [
        ("rank: 2", "rnak: 2", "recipe.yaml:4:3: adapter.rnak: unknown key; did you mean rank?"),
        ("rank: 2", "lora_r: 2", "rank"),
        ("steps: 3", "steps: 3\n  epochs: 1", "epochs"),
        ("steps: 3", "steps: three", "training.steps"),
        ("steps: 3", "steps: [", "recipe.yaml:"),
        ("steps: 3", "steps: -1", "training.steps"),
        ("micro_batch_size: 1", "micro_batch_size: 1\n  micro_batch_tokens: 9", "micro_batch"),
        ("learning_rate: 1e-3", "learning_rate: .nan", "training.learning_rate"),
        ("rank: 2", "rank: 2\n  target_modules: everything", "adapter.target_modules"),
    ])
    func wrongRecipe(old: String, new: String, sentence: String) throws {
        let scratch = try Scratch()
        try scratch.writeRecipe([old: new])
        try refuses(64, sentence, in: scratch)
    }

    @Test(arguments: [
        ("training.stpes=1", 64, "did you mean steps?"), ("training.steps=x", 64, "training.steps"),
        ("nothing", 64, "nothing"), ("model.path=nowhere", 66, "nowhere"), ("adapter.path=nowhere", 66, "nowhere"),
        ("adapter.path=\(Program.adapter)", 64, "rank"), ("output.directory=recipe.yaml/x", 73, "recipe.yaml"),
        ("output.directory=recipe.yaml", 73, "recipe.yaml exists already and is no run"),
    ] as [(String, Int32, String)])
    func wrongOverride(change: String, status: Int32, sentence: String) throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        try refuses(status, sentence, in: scratch, [change])
    }

    @Test func whatIsNoRunIsNeitherResumedNorReplaced() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        try FileManager.default.createDirectory(atPath: scratch.path("run"), withIntermediateDirectories: false)
        try scratch.write("mine", to: "run/notes.txt")
        try refuses(73, "is no run", in: scratch, ["--overwrite"])
        #expect(try Program.run(["train", "--resume", "run"], in: scratch).status == 66)
        #expect(try Program.run(["train", "nowhere.yaml"], in: scratch).status == 66)
    }

    /// The limit on file sizes stands for a full disk: it strikes in the middle of writing, too. In units of 1024 bytes.
    @Test(.enabled(if: Program.mayLimitFiles), arguments: [16, 36]) func aFullDiskLeavesNothingHalfWritten(limit: Int) throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        let result = try Program.shell("ulimit -f \(limit); exec \"$M\" train recipe.yaml", in: scratch)
        #expect(!result.wasKilled)
        #expect(result.status == 74, "\(result.errors)")
        #expect(result.output.isEmpty)
        #expect(result.errors.contains("error: cannot write"), "\(result.errors)")
        #expect(scratch.exists("run/resolved.yaml"))
        #expect(!scratch.exists("run/adapter"))
        #expect(!scratch.files().contains { $0.contains(".tmp-") || $0.contains("step-") })

        let resumed = try Program.run(["train", "--resume", "run"], in: scratch)
        #expect(resumed.status == 0, "\(resumed.errors)")
        #expect(scratch.exists("run/adapter/adapter_model.safetensors"))
    }

    @Test(.enabled(if: Program.mayLimitFiles)) func aMergeThatDoesNotFitLeavesNothing() throws {
        let scratch = try Scratch()
        let result = try Program.shell("ulimit -f 100; exec \"$M\" merge --model \(Program.llama) --output merged", in: scratch)
        #expect(result.status == 74, "\(result.errors)")
        #expect(result.errors.contains("cannot write"), "\(result.errors)")
        #expect(scratch.files().isEmpty)
    }

    @Test(arguments: ["recipe.yaml/x", "recipe.yaml"]) func aMergeIntoAFile(place: String) throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        let result = try Program.run(["merge", "--model", Program.llama, "--output", place], in: scratch)
        #expect(result.status == 73)
        #expect(result.errors.contains("recipe.yaml"))
        #expect(scratch.files() == ["recipe.yaml"])
    }
}
