import Foundation
import Testing

/// Damaged and unsuitable data: 65 (66 where there is none), the file and the line.
@Suite struct HostileDataTests {
    @Test(arguments: [
        ("", "the data set holds no record"),
        ("\n\n", "the data set holds no record"),
        ("{\"input_ids\": [1, 2]}\n{\"input_ids\": [1, 2\n", ":2: malformed JSON"),
        ("hello\n", ":1: malformed JSON"),
        ("[1]\n", ":1: the record is an integer"),
        ("{}\n", ":1: no known format"),
        (#"{"input_ids": [1, 2, 3], "labels": [-100, -100, -100]}"#, ":1: no token of the record is trained"),
        (#"{"input_ids": [1]}"#, ":1: no token of the record is trained"),
        (#"{"input_ids": []}"#, ":1: \"input_ids\" is empty"),
        (#"{"input_ids": [1, 2, 288]}"#, ":1: the token id 288 at position 2 is outside the vocabulary of 288"),
        (#"{"input_ids": [1, -3]}"#, ":1: -3 at position 1"),
        (#"{"input_ids": [1, 99999999999999999999]}"#, ":1: \"input_ids[1]\" is a number"),
        (#"{"input_ids": [1, 2], "labels": [1]}"#, ":1: there are 2 input_ids but 1 labels"),
        (#"{"messages": [{"role": "alien", "content": "x"}]}"#, ":1: message 1 has the unknown role \"alien\""),
        (#"{"messages": [{"role": "user", "content": "x"}]}"#, ":1: no token of the record is trained"),
        (#"{"messages": []}"#, ":1: \"messages\" is empty"),
        (#"{"text": 3}"#, ":1: \"text\" is an integer"),
        ("{\"text\": \"a\"}\n{\"input_ids\": [1]}\n", ":2: the key \"text\""),
    ])
    func aDamagedRecordIsNamed(text: String, sentence: String) throws {
        let scratch = try Scratch()
        try scratch.write(text, to: "d.jsonl")
        let result = try Program.eval(Program.llama, data: scratch.path("d.jsonl"))
        #expect(!result.wasKilled)
        #expect(result.status == 65)
        #expect(result.output.isEmpty)
        #expect(result.message.contains("d.jsonl" + (sentence.hasPrefix(":") ? "" : ": ") + sentence), "\(result.message)")
    }

    @Test func missingDataIs66() throws {
        let result = try Program.eval(Program.llama, data: "nowhere.jsonl")
        #expect(result.status == 66)
        #expect(result.message.contains("nowhere.jsonl"))
    }

    /// Root may read everything.
    @Test(.enabled(if: geteuid() != 0))
    func whatMayNotBeReadIs66() throws {
        let scratch = try Scratch()
        try scratch.write("{}", to: "d.jsonl")
        try scratch.writeRecipe()
        for (name, arguments) in [
            ("d.jsonl", ["eval", "--model", Program.llama, "--data", "d.jsonl"]), ("recipe.yaml", ["train", "recipe.yaml"]),
        ] {
            chmod(scratch.path(name), 0)
            let result = try Program.run(arguments, in: scratch)
            #expect(result.status == 66 && result.errors.hasPrefix("error: \(name): "), "\(result.errors)")
        }
        // Files that a model need not have, too: without its template it would be another.
        for name in ["config.json", "tokenizer.json", "chat_template.jinja"] {
            let model = "without-\(name)"
            try scratch.copy(Program.llama, as: model)
            chmod(scratch.path(model + "/" + name), 0)
            let result = try Program.run(["generate", "--model", model, "--prompt", "a", "--max-tokens", "1"], in: scratch)
            #expect(result.status == 66 && result.errors.hasPrefix("error: cannot open ") && result.errors.contains(name), "\(result.errors)")
        }
        try FileManager.default.createDirectory(atPath: scratch.path("closed"), withIntermediateDirectories: true)
        chmod(scratch.path("closed"), 0)
        #expect(try Program.run(["inspect", "closed"], in: scratch).errors == "error: closed cannot be opened for reading; check its permissions\n")
        #expect(try Program.run(["train", "--resume", "closed"], in: scratch).errors.contains("this folder may not be opened"))
    }

    @Test(arguments: [String.Encoding.utf16LittleEndian, .utf16BigEndian, .utf16])
    func otherEncodingsAreNamed(_ encoding: String.Encoding) throws {
        let scratch = try Scratch()
        try scratch.write(try #require("{\"text\": \"a\"}\n".data(using: encoding)), to: "d.jsonl")
        let result = try Program.eval(Program.llama, data: scratch.path("d.jsonl"))
        #expect(result.status == 65 && result.message.contains("d.jsonl: this looks like text in UTF-16, "), "\(result.message)")
    }

    /// A pipe is read once and held; a device that never ends is not.
    @Test func pipesAreReadAndEndlessDevicesRefused() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        let piped = try Program.shell("$M train recipe.yaml data.train.0.path=<(cat \(Program.tokens))", in: scratch)
        #expect(piped.status == 0 && piped.lastLine["steps"] as? Int == 3, "\(piped.errors)")
        let endless = try Program.eval(Program.llama, data: "/dev/zero")
        #expect(endless.status == 65 && !endless.wasKilled)
        #expect(endless.message.hasPrefix("/dev/zero: the file cannot be read (it is no regular file and gives more than 1024 MiB"), "\(endless.errors)")
    }

    @Test func aChatNeedsATemplate() throws {
        let scratch = try Scratch()
        try scratch.copy(Program.llama, as: "m")
        try scratch.remove("m/chat_template.jinja")
        try scratch.write(#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#, to: "d.jsonl")
        let result = try Program.eval(scratch.path("m"), data: scratch.path("d.jsonl"))
        #expect(result.status == 65)
        #expect(result.message.contains("d.jsonl:1:") && result.message.contains("no chat template"))
    }

    @Test func aLongRecordStopsTheRunBeforeItStarts() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe(["max_length: 64": "max_length: 39"])
        let result = try Program.run(["train", "recipe.yaml"], in: scratch)
        #expect(result.status == 65)
        #expect(result.errors.contains("tokens.jsonl:1:") && result.errors.contains("39"), "\(result.errors)")
        #expect(!scratch.exists("run"))
    }
}
