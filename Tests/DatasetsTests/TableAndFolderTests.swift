import Datasets
import Foundation
import Testing
import Tokenization

private func problem(_ content: String, name: String, _ format: DatasetFormat? = nil) throws -> DatasetProblem? {
    try TemporaryFile(content, name: name).problem(format)
}

@Test func cellsAreReadAsWritten() throws {
    let table =
        "\u{FEFF}prompt,completion,extra\n"
        + "plain,a \"quoted\" word,1\n\n\"with, comma\",\"\"\"all\"\"\",\r\n \"not opened\" , spaced ,3"
    let file = try TemporaryFile(table, name: "t.csv")
    #expect(try file.reader().format == .completion)
    let records = try file.records().map { try $0.get() }
    #expect(
        records.map(\.example) == [
            .completion(prompt: "plain", response: "a \"quoted\" word"),
            .completion(prompt: "with, comma", response: "\"all\""),
            .completion(prompt: " \"not opened\" ", response: " spaced "),
        ])
    #expect(records.map(\.line) == [2, 4, 5])
}

@Test func tabsAndSemicolonsSeparateToo() throws {
    let expected: [Example] = [.completion(prompt: "a, b", response: "c")]
    #expect(try TemporaryFile("prompt\tcompletion\na, b\tc\n", name: "t.tsv").examples() == expected)
    #expect(try TemporaryFile("prompt;completion\na, b;c\n", name: "t.csv").examples() == expected)
}

@Test func arraysStandInCellsAsJSON() throws {
    let cell = #""[{""role"": ""user"", ""content"": ""q""}, {""role"": ""assistant"", ""content"": ""a""}]""#
    let read = try TemporaryFile("messages\n\(cell)\n", name: "t.csv").examples()
    let messages = [Message(role: "user", content: "q"), Message(role: "assistant", content: "a")]
    #expect(read == [.conversation(Conversation(messages: messages))])
}

@Test func brokenRowsAreNamedAndTheOthersStillCome() throws {
    let table = "prompt,completion\na,b\none\n\"x\"y,z\nc,d\n\"open,e\nf,g\n"
    let records = try TemporaryFile(table, name: "t.csv").records(.completion)
    let found = records.map { record -> String in
        switch record {
        case .success(let record): "\(record.line)"
        case .failure(let problem): "\(problem.line ?? 0) \(problem.code)"
        }
    }
    #expect(found == ["2", "3 cell_count", "4 text_after_quotation", "5", "6 unclosed_quotation"])
    #expect(try problem("a,,b\n1,2,3\n", name: "t.csv")?.kind == .badHeader(reason: "column 2 has no name"))
    #expect(try problem("a,a\n1,2\n", name: "t.csv")?.kind == .badHeader(reason: "two columns have the name \"a\""))
    #expect(try problem("prompt,completion\n", name: "t.csv")?.kind == .empty)
    #expect(try problem("text\n", name: "t.csv", .text)?.kind == .empty)
}

@Test func everyLineOfAPlainTextIsARecord() throws {
    let file = try TemporaryFile("first line\r\n\n  [second] \nthird", name: "t.txt")
    #expect(try file.reader().format == .text)
    #expect(try file.examples() == [.text("first line"), .text("[second]"), .text("third")])
    // JSON is JSON, whatever the file's name ends in.
    #expect(try TemporaryFile("{\"prompt\": \"a\", \"completion\": \"b\"}", name: "t.txt").examples().count == 1)
    let invalid = try TemporaryFile(bytes: [0x61, 0xFF, 0x0A], name: "t.txt")
    #expect(invalid.problem()?.kind == .invalidUTF8)
}

/// A folder with files that is removed with this value.
private final class TemporaryFolder {
    let path: String

    init(_ files: [String: String]) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        path = folder.path
        for (name, content) in files {
            let file = folder.appendingPathComponent(name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(content.utf8).write(to: file)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func texts(_ pattern: String) throws -> [String] {
        try withExtendedLifetime(self) {
            try DatasetReader(path: path + pattern).records().map { record in
                let record = try record.get()
                guard case .text(let text) = record.example else { throw Unexpected(what: "\(record)") }
                return "\(record.file.dropFirst(path.count + 1)):\(record.line) \(text)"
            }
        }
    }
}

@Test func foldersAndPatternsStandForTheirFiles() throws {
    let folder = try TemporaryFolder([
        "b.jsonl": "{\"text\": \"b\"}", "a.csv": "text\na\n", "sub/c.txt": "c\n\nd\n", "empty.jsonl": "",
        "README.md": "# not data", ".hidden.jsonl": "{\"text\": \"x\"}", ".git/e.txt": "x",
        "sub/Z.jsonl": "{\"text\": \"z\"}",
    ])
    let all = ["a.csv:2 a", "b.jsonl:1 b", "sub/Z.jsonl:1 z", "sub/c.txt:1 c", "sub/c.txt:3 d"]
    #expect(try folder.texts("") == all)
    #expect(try folder.texts("/*.[cj]s*") == ["a.csv:2 a", "b.jsonl:1 b"])
    #expect(try folder.texts("/s?b") == Array(all[2...]))
    #expect(try folder.texts("/sub/c.txt") == Array(all[3...]))
    #expect(throws: DatasetProblem.self) { try folder.texts("/*.parquet") }
    let bare = try TemporaryFolder(["notes.pdf": "x"])
    _ = withExtendedLifetime(bare) {
        #expect(throws: DatasetProblem(.noDataFiles, file: bare.path)) { try DatasetReader(path: bare.path) }
    }
}

@Test func linkedFoldersAreFollowedOnce() throws {
    let folder = try TemporaryFolder(["data/z/a.jsonl": "{\"text\": \"a\"}", "far/b.jsonl": "{\"text\": \"b\"}"])
    func link(_ name: String, to place: String) throws {
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/" + name, withDestinationPath: place)
    }
    try link("data/far", to: "../far")
    // Neither a second way to a folder nor a way back up reads anything twice.
    try link("data/again", to: "z")
    try link("far/up", to: "../data")
    try link("entrance", to: "data")
    #expect(try folder.texts("/entrance") == ["entrance/far/b.jsonl:1 b", "entrance/z/a.jsonl:1 a"])
    #expect(try folder.texts("/data") == ["data/far/b.jsonl:1 b", "data/z/a.jsonl:1 a"])
}

@Test func fieldsOfOtherNamesAreMapped() throws {
    let file = try TemporaryFile(#"{"dialogue": [{"role": "user", "content": "q"}], "messages": 3}"#)
    let read = try withExtendedLifetime(file) { try DatasetReader(path: file.path, fields: ["messages": "dialogue"]) }
    #expect(read.format == .chat)
    let record = try withExtendedLifetime(file) { try #require(Array(read.records()).first).get() }
    #expect(record.example == .conversation(Conversation(messages: [Message(role: "user", content: "q")])))
    let missing = try withExtendedLifetime(file) {
        try DatasetReader(path: file.path, format: .chat, fields: ["messages": "nowhere"])
    }
    let problem = try withExtendedLifetime(file) { try #require(Array(missing.records()).first) }
    guard case .failure(let problem) = problem else { throw Unexpected(what: "\(problem)") }
    #expect(problem.kind == .missingKey("messages", format: .chat, keys: ["dialogue"]))
}

@Test func fieldsThatCountForNothingAreRefused() throws {
    let lines = #"{"q": "a", "a": "b"}"# + "\n" + #"{"q": "a", "a": "b", "more": "c"}"#
    let file = try TemporaryFile(lines)
    let encoder = ExampleEncoder(tokenizer: try Fixtures.smollm2(), template: nil)
    func summary(_ fields: [String: String], limit: Int? = nil) throws -> EncodingSummary {
        try withExtendedLifetime(file) {
            let names = ["instruction": "q", "output": "a"].merging(fields) { $1 }
            let reader = try DatasetReader(path: file.path, fields: names)
            var dataset = EncodedDataset()
            let summary = try encoder.encode(reader, limit: limit, into: &dataset)
            try encoder.check(summary)
            return summary
        }
    }
    #expect(throws: DatasetProblem(.foreignField("tools", format: .instruct), file: file.path)) {
        try summary(["tools": "more"])
    }
    #expect(throws: DatasetProblem(.fieldNowhere("input", name: "nonsense"), file: file.path)) {
        try summary(["input": "nonsense"])
    }
    #expect(try summary(["input": "more"]).remarks.isEmpty)
    // A part of the records says nothing of the others.
    #expect(
        try summary(["input": "more"], limit: 1).remarks
            == ["\(file.path): no record that was looked at has the key \"more\", which fields names for \"input\""])
}
