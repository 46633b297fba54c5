import Foundation
import Testing

/// Runs that are stopped, changed, squeezed or fed bad numbers, as a user sees them.
@Suite struct RobustRunTests {
    private func train(_ scratch: Scratch, _ rest: String...) throws -> Program.Result {
        try Program.run(["train"] + rest, in: scratch)
    }

    private func adapter(_ scratch: Scratch, _ run: String) throws -> Data {
        try scratch.data("\(run)/adapter/adapter_model.safetensors")
    }

    /// Writes records of token ids below 280, and one with the given id where a line is named.
    private func writeRecords(_ count: Int, to name: String, in scratch: Scratch, bad: [Int: Int] = [:]) throws {
        let lines = (0..<count).map { line in
            let ids = (0..<24).map { $0 == 5 ? bad[line + 1] ?? 3 : (line * 7 + $0 * 11) % 280 }
            return #"{"input_ids": [\#(ids.map(String.init).joined(separator: ", "))]}"#
        }
        try scratch.write(lines.joined(separator: "\n") + "\n", to: name)
    }

    /// A copy of the tiny model whose embedding of token 287 is NaN.
    private func poisonModel(in scratch: Scratch) throws {
        try scratch.copy(Program.llama, as: "model")
        var bytes = try scratch.data("model/model.safetensors")
        let size = bytes.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
        let header = try JSONSerialization.jsonObject(with: bytes[8..<8 + size]) as? [String: Any]
        let entry = try #require(header?["model.embed_tokens.weight"] as? [String: Any])
        let start = try #require((entry["data_offsets"] as? [Int])?.first)
        for column in 0..<64 {
            let place = 8 + size + start + (287 * 64 + column) * 2
            (bytes[place], bytes[place + 1]) = (0xC0, 0x7F)
        }
        try scratch.write(bytes, to: "model/model.safetensors")
    }

    @Test func badNumbersEndTheRunByNameOrAreLeftOut() throws {
        let scratch = try Scratch()
        try poisonModel(in: scratch)
        try writeRecords(12, to: "d.jsonl", in: scratch, bad: [10: 287])
        try scratch.writeRecipe([
            Program.llama: "model", Program.tokens: "d.jsonl", "max_length: 64": "max_length: 64\n  shuffle: false",
            "steps: 3": "epochs: 1\n  gradient_accumulation_steps: 2", "output:": "checkpoint:\n  every_steps: 2\noutput:",
        ])
        let stopped = try train(scratch, "recipe.yaml")
        #expect(stopped.status == 76 && stopped.output.isEmpty)
        #expect(
            stopped.errors.contains("in step 5, first in the embedding, on d.jsonl:10; the checkpoint of step 4 is intact: try"),
            "\(stopped.errors.suffix(400))")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: scratch.path("run/checkpoints/latest")) == "step-000004")

        // The run goes on where it stopped, with the step left out.
        let refused = try train(scratch, "--resume", "run", "training.on_nan=skip")
        #expect(refused.status == 64 && refused.errors.contains("--allow-change training.on_nan"))
        let resumed = try train(scratch, "--resume", "run", "training.on_nan=skip", "--allow-change", "training.on_nan")
        #expect(resumed.status == 0, "\(resumed.errors.suffix(400))")
        #expect(resumed.lastLine["steps"] as? Int == 6 && resumed.lastLine["skipped_steps"] as? Int == 1)
        for policy in ["skip", "rollback"] {
            let whole = try train(scratch, "recipe.yaml", "training.on_nan=\(policy)", "output.directory=\(policy)")
            #expect(whole.status == 0 && whole.lastLine["skipped_steps"] as? Int == 1)
            #expect(whole.lastLine["rollbacks"] as? Int == (policy == "skip" ? 0 : 1))
            #expect(try adapter(scratch, policy) == adapter(scratch, "run"))
        }
    }

    /// Nothing is said to be left where nothing is.
    @Test func aRunThatFailsAtOnceClaimsNoCheckpoint() throws {
        let scratch = try Scratch()
        try poisonModel(in: scratch)
        try writeRecords(4, to: "d.jsonl", in: scratch, bad: [1: 287, 2: 287, 3: 287, 4: 287])
        try scratch.writeRecipe([Program.llama: "model", Program.tokens: "d.jsonl", "steps: 3": "steps: 20"])
        for policy in ["stop", "skip"] {
            let failed = try train(scratch, "recipe.yaml", "--overwrite", "training.on_nan=\(policy)")
            let error = try #require(failed.errors.split(separator: "\n").last)
            #expect(failed.status == 76 && error.contains(": try a lower") && !error.contains("checkpoint"), "\(error)")
            #expect(!scratch.files().contains { $0.hasPrefix("run/checkpoints/") })
        }
    }

    @Test func changesAreNamedAndNeedPermission() throws {
        let scratch = try Scratch()
        try writeRecords(40, to: "d.jsonl", in: scratch)
        try scratch.writeRecipe([Program.tokens: "d.jsonl", "steps: 3": "steps: 5"])
        #expect(try train(scratch, "recipe.yaml").status == 0)
        // A finished run goes on if it is to be longer.
        let longer = try train(scratch, "--resume", "run", "training.steps=7")
        #expect(longer.status == 64)
        #expect(longer.errors.contains("training.steps (5 → 7)") && longer.errors.contains("--allow-change training.steps"))
        let allowed = try train(scratch, "--resume", "run", "training.steps=7", "--allow-change", "training.steps")
        #expect(allowed.status == 0 && allowed.lastLine["steps"] as? Int == 7)
        #expect(allowed.errors.contains("training.steps was 5, now it is 7"))
        #expect(try scratch.read("run/resolved.yaml").contains("steps: 7"))

        try writeRecords(41, to: "d.jsonl", in: scratch)
        let data = try train(scratch, "--resume", "run", "training.steps=8", "--allow-change", "training.steps")
        #expect(data.status == 65 && data.errors.contains("--allow-change data") && data.errors.contains("data ("))
        let rank = try train(scratch, "--resume", "run", "adapter.rank=3", "--allow-change", "adapter.rank")
        #expect(rank.status == 64 && rank.errors.contains("adapter.rank (2 → 3)"))
        let unknown = try train(scratch, "--resume", "run", "--allow-change", "training.learningrate")
        #expect(unknown.status == 64 && unknown.errors.contains("training.learningrate"))
        let useless = try train(scratch, "recipe.yaml", "--allow-change", "data")
        #expect(useless.status == 64)
    }

    /// An edited recipe can be given instead of overrides, and the run may lie elsewhere.
    @Test func aMovedRunTakesAnEditedRecipe() throws {
        let scratch = try Scratch()
        try writeRecords(40, to: "d.jsonl", in: scratch)
        try scratch.writeRecipe([Program.tokens: "d.jsonl", "steps: 3": "steps: 5"])
        #expect(try train(scratch, "recipe.yaml").status == 0)
        try FileManager.default.createDirectory(atPath: scratch.path("away"), withIntermediateDirectories: false)
        try FileManager.default.moveItem(atPath: scratch.path("run"), toPath: scratch.path("away/moved"))
        try scratch.replace("steps: 5", with: "steps: 6", in: "recipe.yaml")
        let result = try train(scratch, "recipe.yaml", "--resume", "away/moved", "--allow-change", "training.steps")
        #expect(result.status == 0 && result.lastLine["adapter"] as? String == "away/moved/adapter", "\(result.errors.suffix(300))")
        #expect(!scratch.exists("run"))
    }

    @Test func memoryAndDiskAreAskedForBeforeTheStart() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        for command in ["train", "plan"] {
            let refused = try Program.run([command, "recipe.yaml", "--memory", "2MB"], in: scratch)
            #expect(refused.status == 69, "\(command)")
            #expect(refused.errors.contains("may use 2.0 MB") && refused.errors.contains("activations"))
            #expect(try Program.run([command, "recipe.yaml", "--memory", "much"], in: scratch).status == 64)
        }
        #expect(!scratch.exists("run"))
        let plan = try Program.run(["plan", "recipe.yaml", "--memory", "64GiB", "--json"], in: scratch)
        #expect(plan.json["memory_limit_bytes"] as? Int == 64 << 30 && plan.json["fits"] as? Bool == true)
        #expect(plan.json["recompute"] as? Bool == false && plan.json["split_tokens"] is NSNull)

        let disk = try train(
            scratch, "recipe.yaml", "adapter.rank=4096", "training.steps=1000000", "checkpoint.every_steps=1",
            "checkpoint.keep=1000000")
        #expect(disk.status == 69 && disk.errors.contains("bytes") && disk.errors.contains("checkpoint.keep"), "\(disk.errors)")
        #expect(!scratch.exists("run"))
    }

    @Test func aSecondSignalStopsAtOnce() throws {
        let scratch = try Scratch()
        try writeRecords(8000, to: "d.jsonl", in: scratch)
        try scratch.writeRecipe([
            Program.tokens: "d.jsonl", "steps: 3": "epochs: 1\n  gradient_accumulation_steps: 500",
            "output:": "checkpoint:\n  every_steps: 1\noutput:",
        ])
        let running = try Program.start(Program.executable, ["train", "recipe.yaml"], in: scratch)
        let deadline = Date(timeIntervalSinceNow: 60)
        let lines = { (try? scratch.read("run/metrics.jsonl"))?.split(separator: "\n").count ?? 0 }
        // The third step has begun, and the checkpoint of the first is there.
        while lines() < 2, running.process.isRunning, Date() < deadline { usleep(2000) }
        #expect(running.process.isRunning && scratch.exists("run/checkpoints/latest"))
        // Both come before the program can go on, however busy the machine is.
        for signal in [SIGSTOP, SIGINT, SIGTERM, SIGCONT] { kill(running.process.processIdentifier, signal) }
        let stopped = try Program.finish(running)
        // At once: no checkpoint for the occasion, no word of one.
        #expect(stopped.status == 75 && !stopped.errors.contains("Stopped after step"))
        #expect(stopped.output.isEmpty && lines() < 16 && !scratch.exists("run/adapter"))
        let latest = try FileManager.default.destinationOfSymbolicLink(atPath: scratch.path("run/checkpoints/latest"))
        let inspection = try Program.run(["inspect", "run/checkpoints/\(latest)", "--json"], in: scratch)
        #expect(inspection.status == 0 && inspection.json["finished"] as? Bool == false)
    }

    /// What is handed on says nothing of this machine's folders and nothing of the data.
    @Test func resultsCarryNoPathsAndNoData() throws {
        let scratch = try Scratch()
        let sentence = "The heron of Vexmoor sleeps on one leg."
        let texts = (0..<8).map { #"{"text": "\#(sentence) Number \#($0)."}"# }.joined(separator: "\n")
        for name in ["d.jsonl", "e.jsonl", "v.jsonl", "w.jsonl"] { try scratch.write(texts, to: name) }
        try scratch.copy(Program.llama, as: "base-model")
        func source(_ name: String) -> String { "    - path: \(scratch.path(name))\n" }
        try scratch.writeRecipe([
            Program.llama: scratch.path("base-model"), "    - path: \(Program.tokens)\n": source("d.jsonl") + source("e.jsonl"),
            "  max_length: 64": "  validation:\n\(source("v.jsonl"))\(source("w.jsonl"))  max_length: 256",
            "directory: run": "directory: \(scratch.path("run"))", "output:": "checkpoint:\n  every_steps: 1\noutput:",
        ])
        let result = try train(scratch, "recipe.yaml")
        #expect(result.status == 0, "\(result.errors.suffix(300))")
        // The recipe itself is as its author wrote it, paths included.
        let published = scratch.files().filter { file in
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: scratch.path(file), isDirectory: &isFolder)
            return file.hasPrefix("run/") && !isFolder.boolValue && !["run/recipe.yaml", "run/resolved.yaml"].contains(file)
        }
        #expect(published.contains("run/metrics.jsonl") && published.contains("run/adapter/adapter_config.json"))
        #expect(published.contains("run/checkpoints/step-000002/state.json"))
        for file in published {
            let bytes = try scratch.data(file)
            for secret in [scratch.url.path, scratch.url.lastPathComponent, NSHomeDirectory() + "/", "Vexmoor", "heron"] {
                #expect(bytes.range(of: Data(secret.utf8)) == nil, "\(file) holds \(secret)")
            }
        }
        let configuration = Program.object(try scratch.read("run/adapter/adapter_config.json"))
        #expect(configuration["base_model_name_or_path"] as? String == "base-model")
        #expect(try scratch.read("run/metrics.jsonl").contains(#""d.jsonl""#))
    }
}
