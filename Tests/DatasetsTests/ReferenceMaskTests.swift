import Datasets
import Foundation
import Testing
import Tokenization

/// What generation blocks wrote and the tokens in it against the assistant masks of transformers.
@Test func masksAreThoseOfTransformers() throws {
    let reference = try Fixtures.json("chat/renderings.json")
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/token_masks.json")
    let cases = try #require(try JSONValue(parsing: Data(contentsOf: file))["cases"]?.arrayValue)
    #expect(cases.count == 61)
    var trainedTokens = 0
    for entry in cases {
        let name = try #require(entry["template"]?.stringValue)
        let conversation = try #require(entry["conversation"]?.stringValue)
        let (text, spans) = try generated(conversation, through: name, reference)
        let encoded = try Fixtures.smollm2().encodeWithOffsets(text, addSpecialTokens: false)
        #expect(encoded.ids.map { Int($0) } == integers(entry["input_ids"]), "\(name), \(conversation)")
        let ours = spans.flatMap { LossMask.tokens(in: $0, ranges: encoded.ranges) }
        let theirs = try #require(entry["assistant_token_spans"]?.arrayValue).map { integers($0) }
            .flatMap { $0[0]..<$0[1] }
        #expect(ours == theirs, "\(name), \(conversation)")
        trainedTokens += theirs.count
    }
    #expect(trainedTokens == 874)
}

/// A rendered conversation and the UTF-8 ranges of what its generation blocks wrote.
private func generated(
    _ conversation: String, through name: String, _ reference: JSONValue
) throws -> (text: String, spans: [Range<Int>]) {
    let source = try #require(try Fixtures.text("chat/templates/\(name).jinja"))
    let content = try #require(reference["conversations"]?[conversation])
    let messages = try #require(content["messages"]?.arrayValue).map { try Message(try #require($0.objectValue)) }
    let roles = try #require(reference["templates"]?[name]?.objectValue)
    let variables = JSONObject(roles.members.filter { $0.key.hasSuffix("_token") && !$0.value.isNull })
    let tools = content["tools"].flatMap { $0.isNull ? nil : $0 }
    let rendering = try ChatTemplate(source).render(messages: messages, tools: tools, variables: variables)
    let scalars = Array(rendering.text.unicodeScalars)
    func bytes(_ count: Int) -> Int { scalars[..<count].reduce(0) { $0 + String($1).utf8.count } }
    return (rendering.text, rendering.generationSpans.map { bytes($0.lowerBound)..<bytes($0.upperBound) })
}

private func integers(_ value: JSONValue?) -> [Int] { value?.arrayValue?.compactMap(\.intValue) ?? [] }
