import Foundation
import Testing

/// Commands that use a model: eval, generate, tokenize, render. Numbers are those of the reference implementation.
@Suite struct CommandModelTests {
    private static let prompt = "77,123,86,29,107,226,260,124,107,14,69,209"
    private static let greedy = [
        34, 2, 120, 207, 122, 2, 232, 21, 109, 123, 170, 39, 268, 33, 123, 2, 133, 207, 59, 243, 115, 233, 188, 239,
    ]

    @Test(arguments: [
        (Program.llama, nil, "tokens.jsonl", 7.664830207824707, 78),
        (Program.llama, nil, "tokens-masked.jsonl", 7.897414207458496, 60),
        (Program.llama, Program.adapter, "tokens.jsonl", 7.708520412445068, 78),
        (Program.gguf, nil, "tokens.jsonl", 7.613877296447754, 78),
    ] as [(String, String?, String, Double, Int)])
    func evalAgreesWithTheReference(model: String, adapter: String?, data: String, loss: Double, supervised: Int) throws {
        let data = Program.fixtures.appendingPathComponent(data).path
        let result = try Program.run(
            ["eval", "--model", model, "--data", data, "--json", "--precision", "float32"] + (adapter.map { ["--adapter", $0] } ?? []))
        #expect(result.status == 0, "\(result.errors)")
        let found = try #require(result.json["loss"] as? Double)
        #expect(abs(found - loss) < 1e-5)
        #expect(abs(try #require(result.json["perplexity"] as? Double) / exp(loss) - 1) < 1e-4)
        #expect(result.json["supervised_tokens"] as? Int == supervised)
        #expect(result.json["tokens"] as? Int == 80)
        let set = try #require((result.json["datasets"] as? [[String: Any]])?.first)
        #expect(set["path"] as? String == data)
        #expect(set["loss"] as? Double == found)
    }

    @Test func aRunFolderIsNoAdapterButHoldsOne() throws {
        let scratch = try Scratch()
        try FileManager.default.createDirectory(atPath: scratch.path("run"), withIntermediateDirectories: true)
        try scratch.copy(Program.adapter, as: "run/adapter")
        let result = try Program.run(
            ["eval", "--model", Program.llama, "--adapter", "run", "--data", Program.tokens], in: scratch)
        #expect(result.status == 65)
        #expect(result.errors == "error: run: the folder is no adapter, but holds one; did you mean run/adapter?\n")
    }

    @Test func severalFilesAreCountedTogether() throws {
        let masked = Program.fixtures.appendingPathComponent("tokens-masked.jsonl").path
        let result = try Program.eval(Program.llama, "--data", masked)
        let mean = (7.664830207824707 * 78 + 7.897414207458496 * 60) / 138
        #expect(abs(try #require(result.json["loss"] as? Double) - mean) < 1e-5)
        #expect((result.json["datasets"] as? [Any])?.count == 2)
    }

    private func generate(_ model: String, _ rest: [String]) throws -> Program.Result {
        try Program.run(
            ["generate", "--model", model, "--prompt-ids", Self.prompt, "--max-tokens", "24", "--ignore-eos", "--json"] + rest)
    }

    @Test func greedyIdsAreTheReferences() throws {
        let result = try generate(Program.llama, ["--temperature", "0", "--precision", "float32"])
        #expect(result.json["ids"] as? [Int] == Self.greedy)
        #expect(result.json["prompt_tokens"] as? Int == 12)
        #expect(result.json["stop_reason"] as? String == "length")
        #expect(result.json["text"] is String)
        #expect(result.json["tokens_per_second"] is Double)
    }

    /// The longest answer that is allowed costs nothing until it is there.
    @Test func maxTokensMayBeAnyNumber() throws {
        let result = try Program.run([
            "generate", "--model", Program.llama, "--prompt-ids", Self.prompt, "--max-tokens", "\(Int.max)", "--precision", "float32",
        ])
        #expect(result.status == 0 && result.errors.contains("longer than the 512 tokens that the model was made for"), "\(result.errors)")
    }

    /// Address space for a part of what is needed: the program ends with a sentence.
    @Test(.enabled(if: Program.sanitizer == nil)) func memoryThatIsRefusedIsNamed() throws {
        let result = try Program.shell(
            "ulimit -v 1000000; exec \"$M\" bench --model \(Program.llama) --seq 64 --batch 4000 --threads 1 --precision float32 --json")
        #expect(!result.wasKilled && result.status == 69, "\(result.errors)")
        #expect(result.message.hasPrefix("out of memory: the system refused "), "\(result.errors)")
    }

    /// Ids without an embedding, as of pictures in a model that sees none, are refused where they are used.
    @Test func aTokenizerMayKnowMoreThanTheModel() throws {
        let scratch = try Scratch()
        try scratch.copy(Program.llama, as: "m")
        try scratch.replace(
            #""special":true}]"#,
            with: #""special":true},{"id":288,"content":"<extra>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}]"#,
            in: "m/tokenizer.json")
        func generate(_ text: String) throws -> Program.Result {
            try Program.run(["generate", "--model", scratch.path("m"), "--prompt", text, "--raw", "--max-tokens", "2"])
        }
        let usable = try generate("hi")
        #expect(usable.status == 0 && usable.errors.contains("the tokenizer has 289 ids, but the model only 288"), "\(usable.errors)")
        let refused = try generate("hi <extra>")
        #expect(refused.status == 65 && refused.errors.contains("token id 288"), "\(refused.errors)")
    }

    /// The template is what takes a system message.
    @Test func aSystemMessageNeedsATemplate() throws {
        let scratch = try Scratch()
        try scratch.copy(Program.llama, as: "m")
        try scratch.remove("m/chat_template.jinja")
        let arguments = ["generate", "--model", scratch.path("m"), "--prompt", "hi", "--max-tokens", "1"]
        #expect(try Program.run(arguments).status == 0)
        let refused = try Program.run(arguments + ["--system", "Be brief."])
        #expect(refused.status == 65 && refused.errors.contains("no chat template"), "\(refused.errors)")
    }

    @Test func samplesRepeatWithTheirSeed() throws {
        let ids = try [7, 7, 8].map { seed in
            try generate(Program.llama, ["--temperature", "1.5", "--seed", "\(seed)"]).json["ids"] as? [Int] ?? []
        }
        #expect(ids[0].count == 24)
        #expect(ids[0] == ids[1])
        #expect(ids[0] != ids[2])
    }

    @Test func withoutTokenizerTextIsNull() throws {
        let scratch = try Scratch()
        try scratch.copy(Program.llama, as: "m")
        try scratch.remove("m/tokenizer.json")
        let result = try generate(scratch.path("m"), ["--precision", "float32"])
        #expect(result.status == 0)
        #expect(result.json["text"] is NSNull)
        #expect(result.json["ids"] as? [Int] == Self.greedy)
        let refused = try Program.run(["generate", "--model", scratch.path("m"), "--prompt", "hi"])
        #expect(refused.status == 65)
        #expect(refused.errors.contains("no tokenizer"))
    }

    @Test func tokenizeGoesThereAndBack() throws {
        func tokenize(_ rest: String...) throws -> Program.Result {
            try Program.run(["tokenize", "--model", Program.llama, "--json"] + rest)
        }
        let whole = try tokenize("--text", "hé")
        let ids = try #require(whole.json["ids"] as? [Int])
        #expect(ids.first == 280)
        #expect((whole.json["pieces"] as? [String])?.first == "<|begin_of_text|>")
        #expect(try tokenize("--text", "hé", "--no-special").json["ids"] as? [Int] == Array(ids.dropFirst()))
        let list = ids.dropFirst().map(String.init).joined(separator: ",")
        #expect(try tokenize("--decode-ids", list).json["text"] as? String == "hé")

        let scratch = try Scratch()
        try scratch.write("hé\n\r\nhé\r\n", to: "lines.txt")
        try scratch.write("{\"text\": \"hé\"}\n{\"text\": \"\"}\n", to: "records.jsonl")
        for (file, count) in [("lines.txt", 3), ("records.jsonl", 2)] {
            let lines = try tokenize(scratch.path(file)).output.split(separator: "\n").map { Program.object(String($0)) }
            #expect(lines.map { ($0["ids"] as? [Int])?.count ?? -1 } == [ids.count, 1, ids.count].prefix(count).map { $0 })
        }
        try scratch.write("{\"text\": \"a\"}\n\n{\"txt\": 1}\n", to: "bad.jsonl")
        let refused = try tokenize(scratch.path("bad.jsonl"))
        #expect(refused.status == 65)
        #expect(refused.message.contains("bad.jsonl:3"))
    }

    @Test func renderGivesTextIdsAndSpans() throws {
        let scratch = try Scratch()
        let messages = #""messages": [{"role": "user", "content": "é"}, {"role": "assistant", "content": "b"}]"#
        try scratch.write("{\"model\": \"\(Program.llama)\", \(messages)}", to: "job.json")
        let result = try Program.run(["render", "--job", scratch.path("job.json"), "--json"])
        let text = try #require(result.json["text"] as? String)
        #expect(text.hasPrefix("<|begin_of_text|><|start_header_id|>user"))
        let spans = try #require(result.json["assistant_spans"] as? [[Int]])
        #expect(spans.map { String(String.UnicodeScalarView(Array(text.unicodeScalars)[$0[0]..<$0[1]])) } == ["b<|eot_id|>"])
        #expect((result.json["ids"] as? [Int])?.first == 280)

        try scratch.write(#"{"template_file": "t.jinja", "messages": []}"#, to: "job.json")
        try scratch.write("{{ raise_exception('no messages') }}", to: "t.jinja")
        let refused = try Program.run(["render", "--job", "job.json", "--json"], in: scratch)
        #expect(refused.status == 65)
        #expect(refused.message.contains("no messages"))
    }

    @Test(arguments: [
        (#""mesages": []"#, "unknown key mesages; did you mean messages?"),
        (#""messages": [], "zzz": 1"#, "unknown key zzz; the keys are template_file, model, messages"),
        (#""messages": "hi""#, "expected the key messages, a list of objects"),
        (#""tools": []"#, "expected the key messages, a list of objects"),
    ])
    func renderRefusesWhatIsNoJob(rest: String, message: String) throws {
        let scratch = try Scratch()
        try scratch.write("{\"model\": \"\(Program.llama)\", \(rest)}", to: "job.json")
        let result = try Program.run(["render", "--job", "job.json"], in: scratch)
        #expect(result.status == 65 && result.output.isEmpty)
        #expect(result.errors.hasPrefix("error: job.json: " + message), "\(result.errors)")
    }
}
