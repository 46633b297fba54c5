import Foundation
import Testing

/// `martlet preview`, and what train says and writes about its data.
@Suite struct CommandPreviewTests {
    private static let chat = [
        #"{"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}, {"role": "user", "content": "three"}, {"role": "assistant", "content": "four"}]}"#,
        #"{"messages": [{"role": "alien", "content": "one"}, {"role": "assistant", "content": "two"}]}"#,
        #"{"messages": [{"role": "user", "content": "one"}]}"#,
    ]

    private func scratch(_ lines: [String], _ changes: [String: String] = [:]) throws -> Scratch {
        let scratch = try Scratch()
        try scratch.writeRecipe(changes.merging(["path: \(Program.tokens)": "path: d.jsonl"]) { first, _ in first })
        try scratch.write(lines.joined(separator: "\n"), to: "d.jsonl")
        return scratch
    }

    private func sources(_ result: Program.Result) throws -> [[String: Any]] {
        try #require(result.json["sources"] as? [[String: Any]])
    }

    @Test func examplesAreShownAsTheModelSeesThem() throws {
        let scratch = try scratch([Self.chat[0]])
        let shown = try Program.run(["preview", "recipe.yaml"], in: scratch)
        #expect(shown.status == 0, "\(shown.errors)")
        #expect(shown.output.contains("1 record of the format chat (detected)"))
        #expect(
            shown.output.contains(
                "<|start_header_id|>assistant<|end_header_id|>\n\n⟦two<|eot_id|>⟧<|start_header_id|>user<|end_header_id|>"))
        #expect(shown.output.contains("⟦four<|eot_id|>⟧"))
        #expect(!shown.output.contains("\u{1B}"))

        let last = try Program.run(["preview", "recipe.yaml", "data.train_on=last", "--json"], in: scratch)
        let example = try #require((last.json["examples"] as? [[String: Any]])?.first)
        let runs = try #require(example["runs"] as? [[String: Any]])
        let trained = runs.filter { $0["trained"] as? Bool == true }.compactMap { $0["text"] as? String }
        #expect(trained == ["four", "<|eot_id|>"])
        #expect(runs.compactMap { $0["text"] as? String }.joined() == example["text"] as? String)
        #expect((example["labels"] as? [Int])?.count == (example["input_ids"] as? [Int])?.count)
    }

    @Test func problemsAreCountedAndRefusedAsTrainDoes() throws {
        let scratch = try scratch(Self.chat)
        let shown = try Program.run(["preview", "recipe.yaml", "--json"], in: scratch)
        #expect(shown.status == 65)
        let source = try #require(try sources(shown).first)
        #expect(source["problems"] as? [String: Int] == ["unknown_role": 1, "no_supervised_token": 1])
        #expect(source["records"] as? Int == 1 && source["skipped"] as? Int == 2)
        let refused = try #require(shown.json["refused"] as? String)
        #expect(refused.hasPrefix("d.jsonl:2: message 1 has the unknown role \"alien\""))
        #expect(try Program.run(["train", "recipe.yaml"], in: scratch).errors.contains(refused))

        let inWords = try Program.run(["preview", "recipe.yaml"], in: scratch)
        #expect(inWords.output.contains("2 broken records\n"))

        let skipping = try Program.run(["preview", "recipe.yaml", "data.on_error=skip", "--json"], in: scratch)
        #expect(skipping.status == 0 && skipping.json["refused"] is NSNull)
        let tooLong = try Program.run(["preview", "recipe.yaml", "data.on_error=skip", "data.max_length=8", "--json"], in: scratch)
        #expect(tooLong.status == 65)
        #expect((tooLong.json["refused"] as? String)?.contains("max_length is 8") == true)
    }

    @Test func remarksAreMadeByAllWhoReadData() throws {
        let ids = (0..<600).map { "\($0 % 200)" }.joined(separator: ", ")
        let scratch = try scratch([#"{"input_ids": [1, 2, 3], "history": "none", "id": 7}"#, "{\"input_ids\": [\(ids)]}"])
        let remarks = [
            "d.jsonl: 1 example is longer than the 512 tokens that the model was made for",
            "d.jsonl: not used of these records: \"history\" (1 record); the format tokens reads input_ids, labels",
        ]
        let long = ["recipe.yaml", "data.max_length=1000"]
        let shown = try Program.run(["preview"] + long, in: scratch)
        #expect(shown.output.contains("  not used of these records: \"history\" (1 record), \"id\" (1 record)\n"), "\(shown.errors)")
        #expect(try sources(Program.run(["preview"] + long + ["--json"], in: scratch)).first?["remarks"] as? [String] == remarks)
        let plan = try Program.run(["plan"] + long, in: scratch)
        let eval = try Program.run(["eval", "--model", Program.llama, "--data", "d.jsonl"], in: scratch)
        for remark in remarks {
            #expect(shown.output.contains("warning: \(remark)\n"))
            #expect(plan.errors.contains(remark), "\(plan.errors)")
            #expect(eval.errors.contains(remark), "\(eval.errors)")
        }
    }

    @Test func nothingAndEverythingTrainedAreRefused() throws {
        let masked = try scratch([#"{"input_ids": [1, 2], "labels": [-100, -100]}"#])
        let train = try Program.run(["train", "recipe.yaml", "data.on_error=skip"], in: masked)
        #expect(train.status == 65 && train.errors.contains("no record is left"))
        #expect(!masked.exists("run"))
        let all = try scratch([Self.chat[0]])
        try all.copy(Program.llama, as: "m")
        try all.write(
            "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|eot_id|>{% endgeneration %}{% endif %}{% endfor %}",
            to: "m/chat_template.jinja")
        let everything = try Program.run(["train", "recipe.yaml", "model.path=m"], in: all)
        #expect(everything.status == 65 && everything.errors.contains("every token of the conversations is trained"))
        #expect(try Program.run(["preview", "recipe.yaml", "model.path=m"], in: all).status == 65)
    }

    @Test func preferencesAreNotTrained() throws {
        let scratch = try scratch([#"{"prompt": "a", "chosen": "b", "rejected": "c"}"#])
        let train = try Program.run(["train", "recipe.yaml"], in: scratch)
        #expect(train.status == 65)
        #expect(train.errors.contains("of the format preference, which this version reads but cannot train on"))
    }

    @Test func skippedRecordsAreListedInTheRunFolder() throws {
        let scratch = try scratch(Self.chat + ["broken"])
        let train = try Program.run(["train", "recipe.yaml", "data.on_error=skip"], in: scratch)
        #expect(train.status == 0, "\(train.errors)")
        #expect(train.errors.contains("3 broken records skipped"))
        let lines = try scratch.read("run/skipped.jsonl").split(separator: "\n").map { Program.object(String($0)) }
        #expect(lines.map { $0["line"] as? Int } == [2, 3, 4])
        #expect(lines.allSatisfy { $0["file"] as? String == "d.jsonl" })
        #expect(lines[0]["reason"] as? String == "message 1 has the unknown role \"alien\"")
        #expect(train.errors.contains("the first: d.jsonl:2: message 1 has the unknown role \"alien\"\n"))
    }

    @Test func sharesAndLossesOfSourcesAreLogged() throws {
        let scratch = try scratch([])
        let rows = (0..<12).map { "{\"input_ids\": [\((0..<10).map { "\($0 * 7 + 3)" }.joined(separator: ", ")), \($0)]}" }
        try scratch.write(rows[..<8].joined(separator: "\n"), to: "d.jsonl")
        try scratch.write((rows[6...] + [rows[11]]).joined(separator: "\n"), to: "e.jsonl")
        let recipe = """
            model:
              path: \(Program.llama)
            data:
              train:
                - path: d.jsonl
                - path: e.jsonl
                  weight: 2
              validation:
                - path: d.jsonl
                - path: e.jsonl
              deduplicate: true
            training:
              epochs: 2
              micro_batch_size: 2
              gradient_accumulation_steps: 1
              precision: float32
              threads: 1
            output:
              directory: run

            """
        try scratch.write(recipe, to: "recipe.yaml")
        let train = try Program.run(["train", "recipe.yaml"], in: scratch)
        #expect(train.status == 0, "\(train.errors)")
        #expect(train.errors.contains("duplicates removed") && train.errors.contains("also stand in the training data"))
        // 8 records once and 4 (of 7; two stand in the first source, one twice) twice an epoch.
        let shares = try #require(train.lastLine["sources"] as? [[String: Any]])
        #expect(shares.map { $0["path"] as? String } == ["d.jsonl", "e.jsonl"])
        #expect(shares.map { $0["tokens"] as? Int } == [2 * 8 * 11, 2 * 8 * 11])
        #expect(shares.map { $0["share"] as? Double } == [0.5, 0.5])
        let lines = try scratch.read("run/metrics.jsonl").split(separator: "\n").map { Program.object(String($0)) }
        let losses = lines.compactMap { $0["validation_losses"] as? [String: Double] }
        #expect(losses.count == 3 && losses.allSatisfy { Set($0.keys) == ["d.jsonl", "e.jsonl"] })
        #expect(lines.last?["source_shares"] as? [String: Double] == ["d.jsonl": 0.5, "e.jsonl": 0.5])
    }
}
