import Foundation
import Tokenization

/// Tokenizers, templates and conversations for tests.
enum Fixtures {
    /// ChatML, with the answer and its end token marked as generated.
    static let chatML =
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{% if message.role == 'assistant' %}"
        + "{% generation %}{{ message.content }}<|im_end|>\n{% endgeneration %}"
        + "{% else %}{{ message.content }}<|im_end|>\n{% endif %}{% endfor %}"

    /// `<|im_start|>` begins, `<|im_end|>` ends; nothing is put around a text.
    static func smollm2() throws -> Tokenizer { try smollm2Result.get() }

    /// `<|begin_of_text|>` is put before a text.
    /// - Parameter withRoles: Whether tokenizer_config.json, which names the end token, is there.
    static func tinyLlama3(withRoles: Bool = true) throws -> Tokenizer {
        try tokenizer("tiny-bytelevel-llama3", withRoles: withRoles)
    }

    static func json(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: data("DatasetsTests/Fixtures/\(path)"))
    }

    static func template(_ name: String) throws -> String {
        String(decoding: try data("TokenizationTests/Fixtures/chat/templates/\(name).jinja"), as: UTF8.self)
    }

    /// The smollm2 tokenizer with further special tokens, such as those that a template writes.
    static func smollm2(adding texts: [String]) throws -> Tokenizer {
        let folder = "TokenizationTests/Fixtures/tokenizers/smollm2"
        guard var file = try JSONValue(parsing: data("\(folder)/tokenizer.json")).objectValue else {
            throw Unexpected(what: "tokenizer.json is no object")
        }
        let known = file["added_tokens"]?.arrayValue ?? []
        let added = texts.enumerated().map { number, text -> JSONValue in
            [
                "id": .integer(49_152 + number), "content": .string(text), "single_word": .bool(false),
                "lstrip": .bool(false),
                "rstrip": .bool(false), "normalized": .bool(false), "special": .bool(true),
            ]
        }
        file["added_tokens"] = .array(known + added)
        return try Tokenizer(
            tokenizerJSON: .object(file), configuration: JSONValue(parsing: data("\(folder)/tokenizer_config.json")))
    }

    private static func data(_ path: String) throws -> Data {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try Data(contentsOf: tests.appending(path: path))
    }

    private static func tokenizer(_ name: String, withRoles: Bool = true) throws -> Tokenizer {
        // They stand beside the tests of Tokenization; one copy is enough.
        let folder = "TokenizationTests/Fixtures/tokenizers/\(name)"
        return try Tokenizer(
            tokenizerJSON: JSONValue(parsing: data("\(folder)/tokenizer.json")),
            configuration: withRoles ? JSONValue(parsing: data("\(folder)/tokenizer_config.json")) : nil)
    }

    /// Read once: it is large.
    private static let smollm2Result = Result { try tokenizer("smollm2") }
}
