import Foundation
import Testing

/// What `--resume` refuses, and that it touches nothing then.
@Suite struct ResumeRefusalTests {
    private func train(_ scratch: Scratch, _ rest: String...) throws -> Program.Result {
        try Program.run(["train"] + rest, in: scratch)
    }

    /// A finished run with checkpoints of steps 1 to 3.
    private func finished() throws -> Scratch {
        let scratch = try Scratch()
        try scratch.writeRecipe(["output:": "checkpoint:\n  every_steps: 1\noutput:"])
        #expect(try train(scratch, "recipe.yaml").status == 0)
        return scratch
    }

    private func snapshot(_ scratch: Scratch) -> [String: Data?] {
        Dictionary(uniqueKeysWithValues: scratch.files().map { ($0, try? scratch.data($0)) })
    }

    @Test func aRunWithoutAWholeCheckpointIsNotBegunAnew() throws {
        let scratch = try finished()
        for step in 1...3 { try scratch.truncate("run/checkpoints/step-00000\(step)/optimizer.safetensors", to: 10) }
        func expectRefusal(_ beginning: String) throws {
            let before = snapshot(scratch)
            let result = try train(scratch, "--resume", "run")
            #expect(result.status == 65 && result.output.isEmpty)
            #expect(result.errors.hasPrefix("error: \(beginning) ("), "\(result.errors)")
            #expect(result.errors.contains("step-000003: optimizer.safetensors does not match its checksum); "), "\(result.errors)")
            #expect(result.errors.contains("start anew with --overwrite") && result.errors.split(separator: "\n").count == 1)
            #expect(snapshot(scratch) == before)
        }
        try expectRefusal("all 3 checkpoints of run are damaged")
        for step in 1...2 { try scratch.remove("run/checkpoints/step-00000\(step)") }
        try expectRefusal("the only checkpoint of run is damaged")

        // Interrupted before the first checkpoint: there is nothing that beginning anew could destroy.
        try scratch.remove("run/checkpoints/step-000003")
        let resumed = try train(scratch, "--resume", "run")
        #expect(resumed.status == 0 && resumed.errors.contains("from the start: it has no checkpoint"), "\(resumed.errors)")
    }

    @Test func theFolderOfARunCannotBeOverridden() throws {
        let scratch = try finished()
        let before = snapshot(scratch)
        for arguments in [["output.directory=X"], ["output={directory: X}"], ["recipe.yaml", "output.directory=X"]] {
            let result = try Program.run(["train", "--resume", "run"] + arguments, in: scratch)
            #expect(result.status == 64 && result.output.isEmpty)
            #expect(result.errors.contains("output.directory: is X, but a run is resumed where it lies, in run;"), "\(result.errors)")
            #expect(result.errors.split(separator: "\n").count == 1 && snapshot(scratch) == before)
        }
        // What the sentence advises works.
        try scratch.copy(scratch.path("run"), as: "X")
        let branch = try train(scratch, "--resume", "X", "training.steps=4", "--allow-change", "training.steps")
        #expect(branch.status == 0 && branch.lastLine["adapter"] as? String == "X/adapter", "\(branch.errors)")
        // As it is already, it moves nothing.
        #expect(try train(scratch, "--resume", "run", "output.directory=run").status == 0)
    }

    @Test func onlyWhatHasAPredecessorIsToBeDeleted() throws {
        let scratch = try finished()
        for (step, hint) in [(3, "delete this checkpoint to resume from the one before it"), (1, "bring the checkpoint back")] {
            try scratch.truncate("run/checkpoints/step-00000\(step)/optimizer.safetensors", to: 10)
            let result = try Program.run(["inspect", "run/checkpoints/step-00000\(step)"], in: scratch)
            #expect(result.status == 65 && result.errors.contains("; " + hint), "\(result.errors)")
        }
        // Where another is at hand, the note says only what is wrong.
        let resumed = try train(scratch, "--resume", "run")
        #expect(resumed.status == 0 && resumed.errors.contains("after step 2"))
        let note = try #require(resumed.errors.split(separator: "\n").first { $0.contains("skipping a checkpoint") })
        #expect(note.hasSuffix("step-000003: optimizer.safetensors does not match its checksum"), "\(note)")
    }
}
