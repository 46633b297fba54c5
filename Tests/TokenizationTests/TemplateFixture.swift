import Foundation
import Tokenization

/// Where the fixtures of this target lie, and what several tests of templates need of them.
enum TemplateFixture {
    static let now = "2024-07-26 12:00:00"

    static func text(_ path: String) throws -> String {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")
        return try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
    }

    static func json(_ path: String) throws -> JSONValue { try JSONValue(parsing: text(path)) }

    static func messages(_ json: JSONValue?) throws -> [Message] {
        try (json?.arrayValue ?? []).map { try Message($0.objectValue ?? [:]) }
    }

    static func scalars(_ text: String, _ range: Range<Int>) -> String {
        String(String.UnicodeScalarView(Array(text.unicodeScalars)[range]))
    }

    static func bytes(_ text: String, _ range: Range<Int>) -> String {
        String(decoding: Array(text.utf8)[range], as: UTF8.self)
    }
}

/// One of the reference conversations through one of the reference templates.
struct ReferenceRendering {
    let name: String
    let template: ChatTemplate
    let messages: [Message]
    let tools: JSONValue?
    let variables: JSONObject
    let addsPrompt: Bool
    let record: JSONValue

    static func all(in folder: String = "chat") throws -> [ReferenceRendering] {
        let reference = try TemplateFixture.json("\(folder)/renderings.json")
        return try (reference["renderings"]?.arrayValue ?? []).map { record in
            let name = record["template"]?.stringValue ?? ""
            let conversationName = record["conversation"]?.stringValue ?? ""
            let conversation = reference["conversations"]?[conversationName]
            var variables: JSONObject = [:]
            for token in ["bos_token", "eos_token", "pad_token", "unk_token"] {
                if let value = reference["templates"]?[name]?[token], !value.isNull { variables[token] = value }
            }
            for (key, value) in record["extra"]?.objectValue?.members ?? [] { variables[key] = value }
            return ReferenceRendering(
                name: "\(name) / \(conversationName)",
                template: try ChatTemplate(TemplateFixture.text("\(folder)/templates/\(name).jinja")),
                messages: try TemplateFixture.messages(conversation?["messages"]),
                tools: conversation?["tools"].flatMap { $0.isNull ? nil : $0 }, variables: variables,
                addsPrompt: record["add_generation_prompt"]?.boolValue ?? false, record: record)
        }
    }

    func render() throws -> Rendering {
        try template.render(
            messages: messages, tools: tools, addGenerationPrompt: addsPrompt, variables: variables,
            now: try TemplateClock(TemplateFixture.now))
    }

    func renderConversation() throws -> ConversationRendering {
        try template.renderConversation(
            messages: messages, tools: tools, variables: variables, now: try TemplateClock(TemplateFixture.now))
    }
}
