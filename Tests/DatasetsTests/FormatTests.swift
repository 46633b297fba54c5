import Datasets
import Foundation
import Testing
import Tokenization

private func example(_ json: String, _ format: DatasetFormat) throws -> Example {
    try #require(try TemporaryFile(json).examples(format).first)
}

private func problem(_ json: String, _ format: DatasetFormat) throws -> DatasetProblemKind? {
    try TemporaryFile(json).problem(format)?.kind
}

@Test func completionIsRead() throws {
    #expect(
        try example(#"{"prompt": "Q: ", "completion": "A"}"#, .completion) == .completion(prompt: "Q: ", response: "A"))
    #expect(
        try example(#"{"prompt": "", "completion": "A"}"#, .completion) == .completion(prompt: "", response: "A"))
    #expect(try problem(#"{"prompt": "Q", "completion": ""}"#, .completion) == .emptyField("completion"))
    #expect(
        try problem(#"{"prompt": ["Q"], "completion": "A"}"#, .completion)
            == .wrongType(key: "prompt", expected: "a string", found: "an array"))
    #expect(
        try problem(#"{"prompt": "Q", "completion": null}"#, .completion)
            == .missingKey("completion", format: .completion, keys: ["prompt", "completion"]))
}

@Test func instructionIsLaidOutUnderHeadings() throws {
    #expect(
        try example(#"{"instruction": "Add.", "input": "1 2", "output": "3"}"#, .instruct)
            == .completion(
                prompt: "### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n", response: "3"))
    let plain = Example.completion(prompt: "### Instruction:\nSing.\n\n### Response:\n", response: "La")
    for input in ["", #""input": "","#, #""input": null,"#] {
        #expect(try example("{\"instruction\": \"Sing.\", \(input) \"output\": \"La\"}", .instruct) == plain)
    }
    #expect(try problem(#"{"instruction": "", "output": "La"}"#, .instruct) == .emptyField("instruction"))
    #expect(try problem(#"{"instruction": "a", "output": ""}"#, .instruct) == .emptyField("output"))
    #expect(
        try problem(#"{"instruction": "a", "input": 3, "output": "b"}"#, .instruct)
            == .wrongType(key: "input", expected: "a string", found: "an integer"))
}

@Test func systemAndHistoryStandBeforeAnInstruction() throws {
    let last = "### Instruction:\nAnd two?\n\n### Response:\n"
    let history = #""history": [["One?", "1."], ["Sure?", "Yes."]]"#
    let rest = #""instruction": "And two?", "output": "2.""#
    let earlier = "### Instruction:\nOne?\n\n### Response:\n1.\n\n### Instruction:\nSure?\n\n### Response:\nYes.\n\n"
    #expect(
        try example("{\"system\": \"Count.\", \(history), \(rest)}", .instruct)
            == .completion(prompt: "Count.\n\n" + earlier + last, response: "2."))
    for empty in [#""history": [], "system": """#, #""history": null, "system": null"#, #""history": """#] {
        #expect(try example("{\(empty), \(rest)}", .instruct) == .completion(prompt: last, response: "2."))
    }
    let expected = "an instruction and its answer, two strings in an array"
    #expect(
        try problem("{\"history\": [[\"One?\"]], \(rest)}", .instruct)
            == .wrongType(key: "history[0]", expected: expected, found: "an array of 1"))
    #expect(
        try problem("{\"history\": [{\"q\": 1}], \(rest)}", .instruct)
            == .wrongType(key: "history[0]", expected: expected, found: "an object"))
}

@Test func completionsHaveNoPlaceForASystemText() throws {
    let rest = #""prompt": "Q", "completion": "A""#
    #expect(try problem("{\"system\": \"S\", \(rest)}", .completion) == .noPlace(key: "system", format: .completion))
    #expect(
        try problem("{\"history\": [[\"q\", \"a\"]], \(rest)}", .completion)
            == .noPlace(key: "history", format: .completion))
    #expect(try example("{\"system\": \"\", \(rest)}", .completion) == .completion(prompt: "Q", response: "A"))
}

@Test func tokensAreRead() throws {
    #expect(try example(#"{"input_ids": [1, 2, 3]}"#, .tokens) == .tokens(inputIDs: [1, 2, 3], labels: nil))
    #expect(
        try example(#"{"input_ids": [1, 2, 3], "labels": null}"#, .tokens)
            == .tokens(inputIDs: [1, 2, 3], labels: nil))
    #expect(
        try example(#"{"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}"#, .tokens)
            == .tokens(inputIDs: [1, 2, 3], labels: [-100, 2, 3]))
}

@Test func tokensAreChecked() throws {
    #expect(try problem(#"{"input_ids": []}"#, .tokens) == .emptyField("input_ids"))
    #expect(
        try problem(#"{"input_ids": [1, -2]}"#, .tokens)
            == .tokenIDOutside(id: -2, position: 1, vocabularySize: nil))
    #expect(
        try problem(#"{"input_ids": [1, 99999999999]}"#, .tokens)
            == .tokenIDOutside(id: 99_999_999_999, position: 1, vocabularySize: nil))
    #expect(
        try problem(#"{"input_ids": [1, 2.5]}"#, .tokens)
            == .wrongType(key: "input_ids[1]", expected: "a whole number", found: "a number"))
    #expect(
        try problem(#"{"input_ids": "1 2"}"#, .tokens)
            == .wrongType(key: "input_ids", expected: "an array", found: "a string"))
    #expect(try problem(#"{"input_ids": [1, 2], "labels": [1]}"#, .tokens) == .labelCount(ids: 2, labels: 1))
    #expect(
        try problem(#"{"input_ids": [1, 2], "labels": [1, -1]}"#, .tokens) == .invalidLabel(-1, position: 1))
    #expect(try problem(#"{"input_ids": [1, 2, 3], "labels": [2, 3, -100]}"#, .tokens) == .shiftedLabels)
    #expect(
        try example(#"{"input_ids": [7, 7, 7], "labels": [7, 7, 7]}"#, .tokens)
            == .tokens(inputIDs: [7, 7, 7], labels: [7, 7, 7]))
}

@Test func remediesFitWhatWasFound() throws {
    #expect(
        DatasetProblemKind.missingKey("text", format: .text, keys: ["id", "text"]).found
            == "the key \"text\" of the format text is null")
    let guesses = [
        (["question", "answer"], "{instruction: question, output: answer}"),
        (["prompt", "response"], "{instruction: prompt, output: response}"), (["input", "output"], "{instruction: input}"),
        (["instruction", "context", "response", "category"], "{output: response, input: context}"),
        (["id", "dialogue"], "{messages: dialogue}"),
    ]
    for (keys, fields) in guesses {
        let remedy = DatasetProblemKind.unknownFormat(keys: keys).remedy
        #expect(remedy.hasPrefix("a recipe can say which they are: fields: \(fields); known are chat (messages)"), "\(remedy)")
        // The remedy helps.
        let record = "{" + keys.map { "\"\($0)\": \($0 == "dialogue" ? "[{}]" : "\"x\"")" }.joined(separator: ", ") + "}"
        let pairs = fields.dropFirst().dropLast().components(separatedBy: ", ").map { $0.components(separatedBy: ": ") }
        let file = try TemporaryFile(record)
        try withExtendedLifetime(file) {
            #expect(throws: DatasetProblem.self) { try DatasetReader(path: file.path) }
            _ = try DatasetReader(path: file.path, fields: Dictionary(uniqueKeysWithValues: pairs.map { ($0[0], $0[1]) }))
        }
    }
    #expect(DatasetProblemKind.unknownFormat(keys: ["x"]).remedy.hasSuffix("with fields which key stands for which"))
    let hub = DatasetProblem(.missing, file: "tatsu-lab/alpaca").remedy
    #expect(hub.contains("Martlet downloads nothing") && hub.contains("hf download tatsu-lab/alpaca --repo-type dataset"))
    for file in ["no-such-folder/train.jsonl", "train", "/no-such-folder/train"] {
        #expect(DatasetProblem(.missing, file: file).remedy == "check the path", "\(file)")
    }
}

@Test func everyProblemSaysWhatWasFoundAndWhatToDo() {
    let all: [DatasetProblemKind] = [
        .missing, .denied, .unreadable(reason: "r"), .notText(looksLike: "a gzip file"), .empty, .unknownFormat(keys: []),
        .ambiguousFormat([.chat, .text]), .malformedJSON(column: 1, reason: "r"), .missingComma, .trailingComma, .unclosedArray,
        .textAfterArray, .notAnObject(found: "null"), .missingKey("k", format: .chat, keys: ["a"]),
        .wrongType(key: "k", expected: "e", found: "f"), .emptyConversation(key: "messages"), .noDataFiles,
        .badHeader(reason: "r"), .recordTooLarge(limit: 1 << 20), .unclosedQuotation, .textAfterQuotation(cell: 1),
        .cellCount(found: 1, columns: 2), .invalidUTF8, .namelessTool(key: "k"),
        .equalAnswers, .mixedPreference, .toolCallsLeftOut(message: 1), .noAnswer(key: "chosen"),
        .foreignField("tools", format: .text), .fieldNowhere("tools", name: "t"), .emptyAnswers, .twoSystemTexts, .noPlace(key: "system", format: .completion),
        .notTrainable(.preference), .unknownRole("r", message: 1),
        .emptyField("k"), .tokenIDOutside(id: 1, position: 0, vocabularySize: 1),
        .tokenIDOutside(id: -1, position: 0, vocabularySize: nil), .labelCount(ids: 1, labels: 2),
        .invalidLabel(-1, position: 0), .shiftedLabels, .noTokenizer, .noTemplate, .noEndToken,
        .templateRefused(reason: "r"), .doubledBOS(token: "<s>"), .missingEndToken(message: 1),
        .noSupervisedToken(reason: "r"), .tooLong(tokens: 2, limit: 1),
        .nothingLeft(skipped: 1, dropped: 0, first: nil), .everythingSupervised,
        .cursorOutside(DataCursor(), batches: 0),
    ]
    for kind in all {
        #expect(!kind.found.isEmpty)
        #expect(!kind.remedy.isEmpty, "\(kind)")
        #expect(!kind.found.contains("\n"))
        #expect(DatasetProblem(kind, file: "f", line: 3).description == "f:3: \(kind.found); \(kind.remedy)")
    }
}
