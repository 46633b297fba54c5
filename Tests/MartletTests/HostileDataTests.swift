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
