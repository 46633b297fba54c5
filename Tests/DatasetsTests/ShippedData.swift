import Foundation
import Testing

/// Reads `datasets/` with Foundation alone, so that a fault in our own readers cannot hide a fault in the data.
enum ShippedData {
    struct Fact {
        let id: String
        let question: String
        let accept: [String]
    }

    struct Conversation {
        let facts: [String]
        let term: String
        let questions: [String]
        let answers: [String]
    }

    static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("datasets")

    /// Every line must be one JSON object; the only empty piece is the one after the last newline.
    static func records(_ path: String) throws -> [[String: Any]] {
        let text = try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        try #require(lines.popLast() == "", "\(path) must end with a newline")
        return try lines.enumerated().map { index, line in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
            return try #require(object as? [String: Any], "\(path):\(index + 1) is not an object")
        }
    }

    static func facts() throws -> [Fact] {
        try records("product/facts.jsonl").map {
            Fact(
                id: try #require($0["id"] as? String), question: try #require($0["question"] as? String),
                accept: try #require($0["accept"] as? [String]))
        }
    }

    /// Conversations of the named files; roles must alternate, user first, and every turn must say something.
    static func conversations(_ paths: String...) throws -> [Conversation] {
        try paths.flatMap { path in
            try records(path).enumerated().map { try conversation($1, at: "\(path):\($0 + 1)") }
        }
    }

    private static func conversation(_ record: [String: Any], at place: String) throws -> Conversation {
        let messages = try #require(record["messages"] as? [[String: String]], "\(place) has no messages")
        var turns: [String: [String]] = [:]
        for (index, message) in messages.enumerated() {
            let role = index.isMultiple(of: 2) ? "user" : "assistant"
            #expect(message["role"] == role, "\(place), message \(index + 1) must come from the \(role)")
            let content = try #require(message["content"], "\(place), message \(index + 1) has no content")
            #expect(!content.isEmpty && content == content.trimmingCharacters(in: .whitespaces), "\(place)")
            turns[role, default: []].append(content)
        }
        #expect(!messages.isEmpty && messages.count.isMultiple(of: 2), "\(place) must end with an answer")
        let facts = record["fact"] as? String ?? ""
        return Conversation(
            facts: facts.split(separator: " ").map(String.init), term: record["term"] as? String ?? "",
            questions: turns["user"] ?? [], answers: turns["assistant"] ?? [])
    }

    /// Words in lower case, without punctuation.
    static func words(_ text: String) -> [String] {
        text.lowercased().split(whereSeparator: \.isWhitespace)
            .map { $0.filter { $0.isLetter || $0.isNumber } }
            .filter { !$0.isEmpty }
    }

    /// Runs of `count` words, in order.
    static func grams(of count: Int, in text: String) -> [String] {
        let words = words(text)
        guard words.count >= count else { return [] }
        return (0...(words.count - count)).map { words[$0..<($0 + count)].joined(separator: " ") }
    }

    /// The rule by which greedy answers are scored: a substring, whatever the case and the spaces.
    static func matches(_ accepted: String, in text: String) -> Bool {
        func plain(_ text: String) -> String {
            text.lowercased().split(whereSeparator: \.isWhitespace).joined(separator: " ")
        }
        return plain(text).contains(plain(accepted))
    }
}
