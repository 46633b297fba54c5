import Foundation
import Recipes
import Tokenization

/// Readers of text: JSON, tokenizer.json, chat templates, recipes.
enum FuzzText {
    static func json(_ input: Data) {
        guard let value = try? JSONValue(parsing: input) else { return }
        for pretty in [false, true] {
            let text = value.serialized(pretty: pretty)
            require((try? JSONValue(parsing: Data(text.utf8))) == value, "JSON that was written reads as the same")
        }
    }

    private static let texts = [
        "", "Hello  wörld\n\n ▁x 12345 </s>", "日本e\u{301}👨‍👩‍👧 \u{0}\u{85}\u{FEFF}", String(repeating: "ab c", count: 40),
    ]

    static func tokenizer(_ input: Data) {
        guard let json = try? JSONValue(parsing: input),
            let tokenizer = try? Tokenizer(tokenizerJSON: json, configuration: nil)
        else { return }
        for text in texts {
            let encoded = tokenizer.encodeWithOffsets(text)
            require(encoded.ids == tokenizer.encode(text), "ids do not depend on whether offsets are wanted")
            require(
                encoded.ranges.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= text.utf8.count }, "ranges lie in the text")
            var stream = StreamingDecoder(tokenizer)
            let streamed = encoded.ids.map { stream.append($0) }.joined() + stream.finish()
            require(streamed == tokenizer.decode(encoded.ids), "a stream decodes to the same text")
        }
    }

    private static let messages = [
        Message(role: "system", content: "Be brief."), Message(role: "user", content: "Hi <b>"),
        Message(role: "assistant", content: "Hello"), Message(role: "user", content: "Bye"),
    ]

    static func template(_ input: Data) {
        guard let template = try? ChatTemplate(String(decoding: input, as: UTF8.self)) else { return }
        _ = try? template.render(
            messages: messages, tools: [["type": "function", "function": ["name": "f"]]], addGenerationPrompt: true,
            variables: ["bos_token": "<s>", "eos_token": "</s>"])
    }

    static func recipe(_ input: Data) {
        let text = String(decoding: input, as: UTF8.self)
        let lines = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        let overrides = lines[0].hasPrefix("#!") ? lines[0].dropFirst(2).split(separator: " ").map(String.init) : []
        guard let recipe = try? Recipe(yaml: text, file: "fuzz.yaml", overrides: overrides) else { return }
        let resolved = recipe.resolvedYAML()
        guard let again = try? Recipe(yaml: resolved, file: "fuzz.yaml") else {
            return require(false, "a resolved recipe can be read")
        }
        require(again.resolvedYAML() == resolved, "a resolved recipe resolves to itself")
    }
}
