import Foundation
import Testing

@Suite struct CommandTrainTests {
    private func train(_ scratch: Scratch, _ rest: String...) throws -> Program.Result {
        try Program.run(["train"] + rest, in: scratch)
    }

    private func adapter(_ scratch: Scratch, _ run: String) throws -> Data {
        try scratch.data("\(run)/adapter/adapter_model.safetensors")
    }

    private func steps(_ scratch: Scratch, _ run: String) throws -> [[String: Any]] {
        try scratch.read("\(run)/metrics.jsonl").split(separator: "\n").map { Program.object(String($0)) }
            .filter { $0["loss"] != nil }
    }

    @Test func aRunLeavesWhatIsPromised() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        let result = try train(scratch, "recipe.yaml")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try scratch.read("run/recipe.yaml") == scratch.read("recipe.yaml"))
        #expect(try scratch.read("run/resolved.yaml").contains("weight_decay: 0.01"))
        for file in ["adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "chat_template.jinja"] {
            #expect(scratch.exists("run/adapter/" + file), "\(file)")
        }
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: scratch.path("run/checkpoints/latest")) == "step-000003")
        #expect(!scratch.files().contains { $0.contains(".tmp-") })

        let summary = result.lastLine
        #expect(summary["run"] as? String == "run")
        #expect(summary["steps"] as? Int == 3)
        #expect(summary["adapter"] as? String == "run/adapter")
        #expect(summary["validation_loss"] is NSNull)
        for key in ["loss", "tokens_per_second", "peak_memory_bytes"] { #expect(summary[key] is NSNumber, "\(key)") }

        let lines = try steps(scratch, "run")
        #expect(lines.map { $0["step"] as? Int } == [1, 2, 3])
        for key in ["learning_rate", "grad_norm", "tokens", "tokens_per_second"] {
            #expect(lines.allSatisfy { $0[key] is NSNumber }, "\(key)")
        }
        #expect(abs(try #require(lines[0]["loss"] as? Double) - 7.664830207824707) < 1e-5)

        let inspection = try Program.run(["inspect", "run"], in: scratch)
        #expect(inspection.output.contains("\ncheckpoints: after step 3\ndamaged checkpoints: none\n"))
    }

    @Test func theAdapterLoadsAndGivesTheLossThatTrainingSaw() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe(["  max_length": "  validation:\n    - path: \(Program.tokens)\n  max_length"])
        let result = try train(scratch, "recipe.yaml", "training.learning_rate=0.01")
        let loss = try #require(result.lastLine["validation_loss"] as? Double)
        #expect(loss < 7.5)
        let eval = try Program.eval(Program.llama, "--adapter", scratch.path("run/adapter"))
        #expect(abs(try #require(eval.json["loss"] as? Double) - loss) < 1e-6)
        #expect(try scratch.read("run/resolved.yaml").contains("learning_rate: 0.01"))
    }

    /// With the adapter beside it or alone, over weights as they lie and packed; a run that lacks a result is not finished.
    @Test(arguments: ["[adapter, merged]", "[merged]"], ["stored", "nf4"])
    func theMergedModelGivesTheLossOfBaseAndAdapter(save: String, quantization: String) throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        let settings = ["output.save=\(save)", "model.quantization=\(quantization)", "training.learning_rate=0.01"]
        let result = try Program.run(["train", "recipe.yaml", "--cache", "cache"] + settings, in: scratch)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.lastLine["merged"] as? String == "run/merged")
        #expect(scratch.exists("run/adapter") == save.contains("adapter"))
        #expect((result.lastLine["adapter"] as? String == "run/adapter") == save.contains("adapter"))
        let adapter = scratch.path("run/checkpoints/latest")
        let expected = try Program.eval(Program.llama, "--adapter", adapter, "--quantization", "stored")
        let merged = try Program.eval(scratch.path("run/merged"))
        let losses = try [expected, merged].map { try #require($0.json["loss"] as? Double, "\($0.errors)") }
        #expect(abs(losses[0] - losses[1]) < 0.01, "\(losses)")
        try scratch.remove("run/merged")
        let again = try train(scratch, "--resume", "run", "--cache", "cache")
        #expect(again.status == 0 && scratch.exists("run/merged/config.json"), "\(again.errors)")
    }

    @Test func anExistingRunIsNotTouched() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        #expect(try train(scratch, "recipe.yaml").status == 0)
        let first = try adapter(scratch, "run")

        let refused = try train(scratch, "recipe.yaml")
        #expect(refused.status == 73)
        #expect(refused.errors.contains("--resume") && refused.errors.contains("--overwrite"))

        let finished = try train(scratch, "--resume", "run")
        #expect(finished.status == 0)
        #expect(finished.errors.contains("is finished"))
        #expect(finished.lastLine["adapter"] as? String == "run/adapter")
        #expect(try adapter(scratch, "run") == first)

        // Ended between the last checkpoint and the adapter: resuming makes up for it.
        try scratch.remove("run/adapter")
        #expect(try train(scratch, "--resume", "run").status == 0)
        #expect(try adapter(scratch, "run") == first)

        #expect(try train(scratch, "recipe.yaml", "--overwrite", "training.steps=1").status == 0)
        #expect(try steps(scratch, "run").count == 1)
    }

    /// Nothing is learnt, so that the second evaluation brings no improvement.
    @Test func earlyStoppingAndTheBestCheckpointAreTold() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe(["  max_length": "  validation:\n    - path: \(Program.tokens)\n  max_length", "steps: 3": "steps: 6"])
        let result = try train(
            scratch, "recipe.yaml", "training.learning_rate=1e-30", "training.warmup_steps=100", "evaluation.every_steps=1",
            "evaluation.early_stopping=1")
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.contains("note: the warm-up of 100 steps is longer than the run of 6, "))
        #expect(result.errors.contains("\nstopped early after 2 of 6 steps: the last evaluation brought no lower validation loss\n"))
        #expect(result.errors.contains(" at step 1; the results are the last step's, that adapter is used with --adapter run/checkpoints/best\n"))
        let summary = result.lastLine
        #expect(summary["stopped_early"] as? Bool == true && summary["finished"] as? Bool == true)
        #expect(summary["best_step"] as? Int == 1 && summary["best_checkpoint"] as? String == "run/checkpoints/best")
        let eval = try Program.eval(Program.llama, "--adapter", scratch.path("run/checkpoints/best"))
        let losses = try [eval.json["loss"], summary["best_validation_loss"]].map { try #require($0 as? Double, "\(eval.errors)") }
        #expect(abs(losses[0] - losses[1]) < 1e-6)
    }

    /// What was learnt first is forgotten over other tokens, from a merged model or from the adapter.
    @Test(arguments: [("base model", false), ("base model", true), ("adapter that the run started from", false)])
    func aStartThatWasBetterThanEveryCheckpointIsTold(start name: String, isInterrupted: Bool) throws {
        let scratch = try Scratch()
        func write(_ pair: [Int], to file: String) throws {
            try scratch.write("{\"input_ids\": \((0..<15).flatMap { _ in pair })}\n", to: file)
        }
        try write([17, 200], to: "first.jsonl")
        try write([5, 6], to: "second.jsonl")
        try scratch.writeRecipe(["  max_length": "  validation:\n    - path: first.jsonl\n  max_length", Program.tokens: "first.jsonl"])
        let first = try train(
            scratch, "recipe.yaml", "training.learning_rate=0.03", "training.steps=12", "output.save=[adapter,merged]",
            "output.directory=first")
        #expect(first.status == 0 && first.errors.contains(", the lowest so far") && !first.errors.contains("was better on"))

        let origin = name == "base model" ? "model.path=first/merged" : "adapter.path=first/adapter"
        let settings = ["data.train.0.path=second.jsonl", "training.learning_rate=0.3", "training.schedule=constant", "evaluation.every_steps=2"]
        let begun = try Program.run(
            ["train", "recipe.yaml", origin, "training.steps=\(isInterrupted ? 2 : 4)"] + settings, in: scratch)
        let result = isInterrupted
            ? try train(scratch, "--resume", "run", "training.steps=4", "--allow-change", "training.steps") : begun
        #expect(begun.status == 0 && result.status == 0, "\(begun.errors)\(result.errors)")
        #expect(begun.errors.contains(", the lowest since the start so far") && !result.errors.contains(", the lowest so far"))
        let summary = result.lastLine
        let losses = try ["start_validation_loss", "best_validation_loss"].map { try #require(summary[$0] as? Double) }
        let words = losses.map { String(format: "%.4f", $0) }
        let sentence = "\nthe \(name) was better on the validation data than every checkpoint: the loss was \(words[0]) before the first step and \(words[1]) at best afterwards; "
        #expect(losses[0] < losses[1] && result.errors.components(separatedBy: sentence).count == 2, "\(result.errors)")
    }

    /// Who pipes the summary into something that stops reading has a whole run nevertheless.
    @Test(arguments: ["| true", ">&-"])
    func aSummaryThatNobodyReadsIsNoFailure(redirection: String) throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        let result = try Program.shell("$M train recipe.yaml \(redirection); exit ${PIPESTATUS[0]}", in: scratch)
        #expect(result.status == 0 && scratch.exists("run/adapter"), "\(result.errors)")
        #expect(!result.errors.contains("error"))
        let merge = "$M merge --model \(Program.llama) --adapter run/adapter --output merged \(redirection); exit ${PIPESTATUS[0]}"
        #expect(try Program.shell(merge, in: scratch).status == 0 && scratch.exists("merged/config.json"))
        // A disk that is full is another matter.
        #expect(try Program.shell("$M train --resume run >/dev/full", in: scratch).status == 74)
    }

    /// The first files to be opened would get the numbers of the streams, and what is said would stand in them.
    @Test(arguments: [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
    func closedStreamsAreNotWrittenIntoFiles(redirection: String) throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        #expect(try Program.shell("$M train recipe.yaml \(redirection)", in: scratch).status == 0)
        let lines = try scratch.read("run/metrics.jsonl").split(separator: "\n")
        #expect(lines.count == 3 && lines.allSatisfy { $0.hasPrefix("{\"epoch\":") }, "\(lines)")
    }

    /// A signal that the tests' own start has ignored stays ignored in what they start.
    private static let stopSignals: [Int32] = {
        let earlier = signal(SIGHUP, SIG_DFL)
        signal(SIGHUP, earlier)
        let isIgnored = unsafeBitCast(earlier, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
        return [SIGINT, SIGTERM] + (isIgnored ? [] : [SIGHUP])
    }()

    @Test func outputThatNobodyReadsAndClosedTerminalsUnderNohupEndNothing() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe(["steps: 3": "steps: 40"])
        let piped = try Program.shell("$M train recipe.yaml 2>&1 >/dev/null | head -1; exit ${PIPESTATUS[0]}", in: scratch)
        #expect(piped.status == 0 && scratch.exists("run/adapter"), "\(piped.status)")
        let begun = "until [ -e two/metrics.jsonl ] || ! kill -0 $!; do sleep 0.02; done"
        let line = "nohup $M train recipe.yaml training.steps=400 output.directory=two & \(begun); kill -HUP $!; wait $!"
        let kept = try Program.shell(line, in: scratch)
        #expect(kept.status == 0 && scratch.exists("two/adapter"), "\(kept.errors.suffix(300))")
    }

    @Test(arguments: stopSignals)
    func aStoppedRunResumesToTheSameBits(signal number: Int32) throws {
        let scratch = try Scratch()
        try scratch.writeRecipe(["steps: 3": "steps: 150"])
        #expect(try train(scratch, "recipe.yaml", "output.directory=whole").status == 0)

        let running = try Program.start(Program.executable, ["train", "recipe.yaml"], in: scratch)
        let deadline = Date(timeIntervalSinceNow: 20)
        while try !scratch.exists("run/metrics.jsonl") || steps(scratch, "run").count < 5, Date() < deadline { usleep(2000) }
        kill(running.process.processIdentifier, number)
        let stopped = try Program.finish(running)
        #expect(stopped.status == 75, "\(stopped.errors.suffix(300))")
        let step = try steps(scratch, "run").count
        // Not an error: a plain sentence, and the summary without an adapter.
        let checkpoint = "run/checkpoints/step-" + String(repeating: "0", count: 6 - "\(step)".count) + "\(step)"
        let sentence = "Stopped after step \(step) on request; checkpoint \(checkpoint); continue with `martlet train --resume run`"
        #expect(stopped.errors.hasSuffix("\n\(sentence)\n") && !stopped.errors.contains("error"), "\(stopped.errors.suffix(300))")
        #expect(scratch.exists(checkpoint))
        #expect(stopped.json["steps"] as? Int == step && stopped.json["finished"] as? Bool == false)
        #expect(stopped.json["adapter"] is NSNull)
        #expect(step < 150)
        #expect(scratch.exists("run/checkpoints/latest/state.json"))
        #expect(!scratch.exists("run/adapter"))

        let resumed = try train(scratch, "--resume", "run")
        #expect(resumed.status == 0, "\(resumed.errors.suffix(300))")
        #expect(resumed.errors.contains("after step \(step)") && resumed.lastLine["finished"] as? Bool == true)
        #expect(try adapter(scratch, "run") == adapter(scratch, "whole"))
        #expect(try steps(scratch, "run").map { $0["loss"] as? Double } == steps(scratch, "whole").map { $0["loss"] as? Double })
    }
}
