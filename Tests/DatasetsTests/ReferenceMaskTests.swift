import Datasets
import Testing
import Tokenization

/// The tokens of the assistant's spans against the assistant masks of transformers.
@Test func masksAreThoseOfTransformers() throws {
    let reference = try Fixtures.json("conversations.json")
    let cases = try #require(try Fixtures.json("token_masks.json")["cases"]?.arrayValue)
    #expect(cases.count == 61)
    var trainedTokens = 0
    for entry in cases {
        let name = try #require(entry["template"]?.stringValue)
        let conversation = try #require(entry["conversation"]?.stringValue)
        let rendered = try render(conversation, through: name, reference)
        let encoded = try Fixtures.smollm2().encodeWithOffsets(rendered.text, addSpecialTokens: false)
        #expect(encoded.ids.map { Int($0) } == integers(entry["input_ids"]), "\(name), \(conversation)")
        let ours = rendered.assistantSpans.flatMap { LossMask.tokens(in: $0.utf8, ranges: encoded.ranges) }
        let theirs = try #require(entry["assistant_token_spans"]?.arrayValue).map { integers($0) }
            .flatMap { $0[0]..<$0[1] }
        #expect(ours == theirs, "\(name), \(conversation)")
        trainedTokens += theirs.count
    }
    #expect(trainedTokens == 874)
}

private func render(
    _ conversation: String, through name: String, _ reference: JSONValue
) throws -> ConversationRendering {
    let content = try #require(reference["conversations"]?[conversation])
    let messages = try #require(content["messages"]?.arrayValue).map { try Message(try #require($0.objectValue)) }
    let roles = try #require(reference["templates"]?[name]?.objectValue)
    let variables = JSONObject(roles.members.filter { $0.key.hasSuffix("_token") && !$0.value.isNull })
    let tools = content["tools"].flatMap { $0.isNull ? nil : $0 }
    return try ChatTemplate(Fixtures.template(name)).renderConversation(
        messages: messages, tools: tools, variables: variables)
}

private func integers(_ value: JSONValue?) -> [Int] { value?.arrayValue?.compactMap(\.intValue) ?? [] }
