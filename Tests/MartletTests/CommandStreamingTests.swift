import Foundation
import Testing

/// Data that stay on disk, from the command line.
@Suite struct CommandStreamingTests {
    private func adapter(_ scratch: Scratch, _ run: String) throws -> Data {
        try scratch.data("\(run)/adapter/adapter_model.safetensors")
    }

    private func bench() throws -> Scratch {
        let scratch = try Scratch()
        let lines = (0..<300).map { line in
            #"{"input_ids": \#((0..<(5 + line % 9)).map { (line * 7 + $0 * 3) % 288 })}"#
        }
        try scratch.write(lines.joined(separator: "\n"), to: "data.jsonl")
        try scratch.writeRecipe([
            Program.tokens: "data.jsonl", "  max_length": "  streaming: always\n  max_length",
            "output:": "checkpoint:\n  every_steps: 3\noutput:",
        ])
        return scratch
    }

    @Test(arguments: ["training.steps=30", "training.epochs=1"]) func aKilledRunResumesToTheSameBits(length: String) throws {
        let scratch = try bench()
        let size = ["training.gradient_accumulation_steps=2", length]
        func start(_ run: String, _ more: String...) -> [String] {
            let rest = length.hasPrefix("training.epochs") ? ["training.steps=null"] : []
            return ["train", "recipe.yaml", "output.directory=\(run)"] + size + rest + more
        }
        let whole = try Program.run(start("whole"), in: scratch)
        #expect(whole.status == 0, "\(whole.errors)")
        var arguments = start("run")
        for delay in [0.1, 0.25, 0.4] {
            let running = try Program.start(Program.executable, arguments, in: scratch)
            Thread.sleep(forTimeInterval: delay)
            // It may have come to its end on a fast machine.
            if running.process.isRunning { kill(running.process.processIdentifier, SIGKILL) }
            _ = try Program.finish(running)
            if scratch.exists("run/resolved.yaml") { arguments = ["train", "--resume", "run", "--threads", "2"] }
        }
        let last = try Program.run(arguments, in: scratch)
        #expect(last.status == 0, "\(last.errors)")
        #expect(try adapter(scratch, "run") == adapter(scratch, "whole"))
        #expect(try scratch.read("run/resolved.yaml").contains("streaming: always"))
    }

    @Test func tokensAreListedPrunedAndMadeAgain() throws {
        let scratch = try bench()
        func plan() throws -> Program.Result {
            try Program.run(["plan", "recipe.yaml", "training.steps=null", "training.epochs=2", "--json"], in: scratch)
        }
        func kept() throws -> [[String: Any]] {
            try Program.run(["cache", "list", "--json"], in: scratch).json["data"] as? [[String: Any]] ?? []
        }
        let first = try plan()
        #expect(first.status == 0 && first.errors.contains("tokenising data.jsonl, once"), "\(first.errors)")
        // 300 sequences, one a micro-batch and four a step, twice.
        #expect(first.json["steps"] as? Int == 150)
        #expect(!(try plan()).errors.contains("tokenising"))
        let entry = try #require(try kept().first)
        #expect(try kept().count == 1 && entry["kind"] as? String == "tokens" && entry["bytes"] as? Int ?? 0 > 1000)
        // A damaged entry is made again.
        let place = "cache/martlet/data/tokens/\(entry["digest"] as? String ?? "")/index.bin"
        var bytes = try scratch.data(place)
        bytes[100] ^= 1
        try bytes.write(to: scratch.url.appendingPathComponent(place))
        let again = try plan()
        #expect(again.status == 0 && again.errors.contains("damaged") && again.errors.contains("tokenising"))
        #expect(try Program.run(["cache", "prune"], in: scratch).output.contains("tokens"))
        #expect(try kept().isEmpty && scratch.files().contains { $0.hasSuffix("tokens.bin") } == false)
    }

    @Test func everythingInAFileIsCounted() throws {
        let scratch = try Scratch()
        try scratch.write("{\"messages\": [{\"role\": \"user\", \"content\": \"hé\"}]}\n\n{\"messages\": [{\"role\": \"user\", \"content\": \"hé\"}]}", to: "a.jsonl")
        func tokens(_ rest: String...) throws -> Program.Result {
            try Program.run(["tokenize", "--model", Program.llama, "--no-special", "--json"] + rest, in: scratch)
        }
        let one = try #require(try tokens("--text", "hé").json["ids"] as? [Int]).count
        let counted = try tokens("--count", "a.jsonl").json
        #expect(counted["records"] as? Int == 2 && counted["tokens"] as? Int == 2 * one)
        #expect(try tokens("--count", "--text", "x").status == 64)
    }
}
