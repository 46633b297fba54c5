import Datasets
import Foundation
import Testing

@Test func linesBlankLinesMarkAndLineEndingsAreRead() throws {
    let file = try TemporaryFile("\u{FEFF}{\"text\": \"a\"}\r\n\r\n  \t\n{\"text\": \"b\"}\n\n{\"text\": \"c\"}")
    let records = try file.records().map { try $0.get() }
    #expect(records.map(\.example) == [.text("a"), .text("b"), .text("c")])
    #expect(records.map(\.line) == [1, 4, 6])
    #expect(records.allSatisfy { $0.file == file.path })
}

@Test func arraysAreRead() throws {
    let content = """
        \u{FEFF}
        [ {"text": "a ] } \\" ,"},
          {"text":
             "b"} , {"text": "c\\\\"}
        ]

        """
    let records = try TemporaryFile(content, name: "data.json").records().map { try $0.get() }
    #expect(records.map(\.example) == [.text("a ] } \" ,"), .text("b"), .text("c\\")])
    #expect(records.map(\.line) == [2, 3, 4])
}

@Test func readerCanBeReadTwice() throws {
    let reader = try TemporaryFile("{\"text\": \"a\"}\n{\"text\": \"b\"}").reader()
    #expect(Array(reader.records()) == Array(reader.records()))
    #expect(Array(reader.records()).count == 2)
}

@Test func formatIsDetectedAndSaid() throws {
    let cases: [(String, DatasetFormat)] = [
        (#"{"messages": []}"#, .chat), (#"{"instruction": "a", "output": "b"}"#, .instruct),
        (#"{"prompt": "a", "completion": "b"}"#, .completion), (#"{"id": 1, "text": "a"}"#, .text),
        (#"{"input_ids": [1]}"#, .tokens), (#"[{"input_ids": [1], "labels": [1]}]"#, .tokens),
    ]
    for (content, format) in cases {
        let file = try TemporaryFile(content)
        let detected = try file.reader()
        #expect(detected.format == format)
        #expect(detected.formatWasDetected)
        #expect(try !file.reader(format).formatWasDetected)
    }
}

@Test func formatIsDetectedBehindABrokenRecord() throws {
    let records = try TemporaryFile("{\"text\": \n{\"text\": \"a\"}").records()
    #expect(records.count == 2)
    #expect(throws: DatasetProblem.self) { try records[0].get() }
    #expect(try records[1].get().example == .text("a"))
}

@Test func formatThatCannotBeToldIsRefused() throws {
    #expect(
        try TemporaryFile("\n{\"question\": \"a\", \"answer\": \"b\"}").problem()?.kind
            == .unknownFormat(keys: ["question", "answer"]))
    let both = try TemporaryFile(#"{"instruction": "a", "output": "b", "text": "c"}"#)
    #expect(both.problem()?.kind == .ambiguousFormat([.instruct, .text]))
    #expect(try both.examples(.text) == [.text("c")])
}

@Test func filesThatAreNoDataSetsAreRefused() throws {
    #expect(throws: DatasetProblem(.missing, file: "/nowhere/x.jsonl")) {
        try DatasetReader(path: "/nowhere/x.jsonl")
    }
    #expect(DatasetProblem(.missing, file: "x").isMissingInput)
    for content in ["", "\n \r\n", "\u{FEFF}", "[]", " [ \n ] "] {
        for format in [nil, DatasetFormat.text] {
            let file = try TemporaryFile(content)
            #expect(file.problem(format) == DatasetProblem(.empty, file: file.path), "\(content.debugDescription)")
        }
    }
    let zip = try TemporaryFile(bytes: [0x50, 0x4B, 3, 4, 0])
    #expect(zip.problem()?.kind == .notText(looksLike: "a zip file"))
    let wide = try TemporaryFile(bytes: [0xFF, 0xFE, 0x7B, 0])
    #expect(wide.problem()?.kind == .notText(looksLike: "text in UTF-16"))
}

@Test func brokenRecordsAreNamedByLineAndTheOthersStillCome() throws {
    let bad: [UInt8] = Array(#"{"text": ""#.utf8) + [0xC3, 0x28] + Array("\"}\n".utf8)
    let lines = [
        #"{"text": "a"}"#, "{\"text\": \"b\"", "[1, 2]", #"{"text": 3}"#, #"{"prompt": "x"}"#, #"{"text": ""}"#,
    ]
    let file = try TemporaryFile(
        bytes: Array((lines.joined(separator: "\n") + "\n").utf8) + bad + Array("{\"text\": \"z\"}".utf8))
    let records = try file.records(.text)
    let problems: [DatasetProblem] = records.compactMap { if case .failure(let problem) = $0 { problem } else { nil } }
    #expect(records.count == 8)
    #expect(problems.map(\.line) == [2, 3, 4, 5, 6, 7])
    #expect(problems[1].kind == .notAnObject(found: "an array"))
    #expect(problems[2].kind == .wrongType(key: "text", expected: "a string", found: "an integer"))
    #expect(problems[3].kind == .missingKey("text", format: .text, keys: ["prompt"]))
    #expect(problems[4].kind == .emptyField("text"))
    for at in [0, 5] {
        guard case .malformedJSON = problems[at].kind else {
            Issue.record("problem \(at) is \(problems[at])")
            continue
        }
    }
    #expect(
        problems[0].description == "\(file.path):2: malformed JSON at column 13: the JSON text ends where a comma or } is expected; write each record as one JSON object, on a line of its own or in one array")
    #expect(problems[5].description.contains("UTF-8"))
    #expect(problems.allSatisfy { $0.isSkippable })
    #expect(problems[2].description.hasPrefix("\(file.path):4: \"text\" is an integer, a string is expected; "))
    #expect(try records[7].get().example == .text("z"))
}

@Test func structureOfArraysIsChecked() throws {
    func outcome(_ content: String) throws -> [String] {
        try TemporaryFile(content).records(.text).map { record in
            switch record {
            case .success(let record): if case .text(let text) = record.example { text } else { "?" }
            case .failure(let problem):
                switch problem.kind {
                case .malformedJSON: "malformed \(problem.line ?? 0)"
                default: "\(problem.kind) \(problem.line ?? 0)"
                }
            }
        }
    }
    #expect(try outcome("[{\"text\": \"a\"}\n{\"text\": \"b\"}]") == ["a", "missingComma 2", "b"])
    #expect(try outcome("[{\"text\": \"a\"},\n{\"text\": \"b\"") == ["a", "malformed 2", "unclosedArray 2"])
    #expect(try outcome("[{\"text\": \"a\"},\n") == ["a", "unclosedArray 2"])
    #expect(try outcome("[{\"text\": \"a\"}]\nmore") == ["a", "textAfterArray 2"])
    #expect(try outcome("[{\"text\": \"a\"},\n\n{\"text\"\n: 1,}]") == ["a", "malformed 4"])
    #expect(try outcome("[{\"text\": \"a\"},\n ]") == ["a", "trailingComma 2"])
    #expect(try outcome("[,{\"text\": \"a\"}]").count == 1)
}

/// Whatever the bytes are, reading ends, and every record is a value or a problem.
@Test func randomBytesNeverHang() throws {
    var numbers = TestNumbers(99)
    let alphabet = Array("[]{},:\"\\\n a1\u{FEFF}é".utf8) + [0xFF, 0x00]
    for round in 0..<100 {
        var bytes = (0..<numbers.next(in: 1...60)).map { _ in alphabet[numbers.next(in: 0...alphabet.count - 1)] }
        if round % 2 == 0 { bytes.insert(UInt8(ascii: "["), at: 0) }
        let file = try TemporaryFile(bytes: bytes)
        guard let records = try? file.records(.text) else { continue }
        #expect(records.count <= bytes.count)
    }
}
