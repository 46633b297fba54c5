import Foundation
import Testing

/// A run that is killed at random moments and resumed ends with the same bytes as one that nobody disturbed.
@Suite struct KillTests {
    private func adapter(_ scratch: Scratch, _ run: String) throws -> Data {
        try scratch.data("\(run)/adapter/adapter_model.safetensors")
    }

    @Test(arguments: ["stored", "nf4"]) func killedAndResumedRunsEndTheSame(quantization: String) throws {
        let scratch = try Scratch()
        try scratch.writeRecipe([
            "path: \(Program.llama)": "path: \(Program.llama)\n  quantization: \(quantization)", "steps: 3": "steps: 150",
            "  learning_rate": "  warmup_steps: 10\n  learning_rate", "output:": "checkpoint:\n  every_steps: 1\n  keep: 2\noutput:",
        ])
        #expect(try Program.run(["train", "recipe.yaml", "output.directory=whole"], in: scratch).status == 0)
        var random = SystemRandomNumberGenerator()
        var arguments = ["train", "recipe.yaml"]
        var kills = 0
        // Every step writes a checkpoint, so most of the time one is being written.
        while kills < 15 {
            let running = try Program.start(Program.executable, arguments, in: scratch)
            Thread.sleep(forTimeInterval: Double.random(in: 0.02...0.6, using: &random))
            if !running.process.isRunning { break }
            kill(running.process.processIdentifier, SIGKILL)
            #expect(try Program.finish(running).wasKilled)
            kills += 1
            if scratch.exists("run/resolved.yaml") { arguments = ["train", "--resume", "run", "--threads", "\(1 + kills % 2)"] }
        }
        let last = try Program.run(arguments, in: scratch)
        #expect(last.status == 0, "\(last.errors)")
        #expect(kills > 0)
        #expect(try adapter(scratch, "run") == adapter(scratch, "whole"))
        #expect(!scratch.files().contains { $0.contains("run/") && $0.contains(".tmp-") })
    }

    @Test func aSignalWritesACheckpointAndTheRunGoesOn() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe(["steps: 3": "steps: 400", "output:": "checkpoint:\n  every_steps: 1000\noutput:"])
        let running = try Program.start(Program.executable, ["train", "recipe.yaml"], in: scratch)
        let metrics = scratch.url.appendingPathComponent("run/metrics.jsonl")
        for _ in 0..<200 where ((try? Data(contentsOf: metrics))?.count ?? 0) < 500 { Thread.sleep(forTimeInterval: 0.02) }
        kill(running.process.processIdentifier, SIGUSR1)
        let result = try Program.finish(running)
        #expect(result.status == 0, "\(result.errors)")
        let written = result.errors.components(separatedBy: "checkpoint written").count - 1
        #expect(written == 2, "one asked for, one at the end: \(written)")
    }
}
