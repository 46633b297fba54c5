import Datasets
import Testing
import Tokenization

private func example(_ json: String, _ format: DatasetFormat? = nil) throws -> Example {
    try #require(try TemporaryFile(json).examples(format).first)
}

private func problem(_ json: String, _ format: DatasetFormat? = nil) throws -> DatasetProblemKind? {
    try TemporaryFile(json).problem(format)?.kind
}

private func message(_ role: String, _ content: String, _ more: JSONObject = [:]) throws -> Message {
    try Message(JSONObject([("role", .string(role)), ("content", .string(content))] + more.members))
}

// MARK: ShareGPT

@Test func speakersOfShareGPTBecomeRoles() throws {
    let read = try example(
        #"{"system": "Be kind.", "tools": "[{\"name\": \"f\"}]", "conversations": [{"from": "human", "value": "q"}, "#
            + #"{"from": "GPT", "value": "a", "train": false}, {"from": "function_call", "value": "{\"name\": \"f\", "#
            + #"\"arguments\": {\"x\": 1}}"}, {"from": "observation", "value": "1"}, {"role": "assistant", "content": "b"}]}"#
    )
    let call: JSONValue = ["type": "function", "function": ["name": "f", "arguments": ["x": 1]]]
    let expected = Conversation(
        messages: [
            try message("system", "Be kind."), try message("user", "q"),
            try message("assistant", "a", ["train": .bool(false)]),
            try message("assistant", "", ["tool_calls": .array([call])]), try message("tool", "1"),
            try message("assistant", "b"),
        ], untrained: [2], tools: .array([["name": "f"]]))
    #expect(read == .conversation(expected))
}

@Test func unknownSpeakersAreNamed() throws {
    #expect(
        try problem(#"{"conversations": [{"from": "human", "value": "q"}, {"from": "alien", "value": "a"}]}"#)
            == .unknownRole("alien", message: 2))
    #expect(try problem(#"{"conversations": []}"#) == .emptyConversation(key: "conversations"))
    #expect(
        try problem(#"{"conversations": [{"value": "q"}]}"#)
            == .wrongType(key: "conversations[0].from", expected: "a string", found: "missing"))
    #expect(
        try problem(#"{"conversations": [{"from": "human"}]}"#)
            == .wrongType(key: "conversations[0].value", expected: "a string", found: "missing"))
    #expect(
        try problem(#"{"conversations": [{"from": "function_call", "value": "call f"}]}"#)
            == .wrongType(key: "conversations[0].value", expected: "a tool call as JSON", found: "a string"))
}

// MARK: Chat

@Test func toolsAreChecked() throws {
    let messages = #""messages": [{"role": "user", "content": "q"}]"#
    #expect(try problem("{\(messages), \"tools\": [{\"type\": \"function\"}]}") == .namelessTool(key: "tools[0]"))
    #expect(
        try problem("{\(messages), \"tools\": [\"f\"]}")
            == .wrongType(key: "tools[0]", expected: "an object", found: "a string"))
    #expect(
        try example("{\(messages), \"tools\": []}")
            == .conversation(Conversation(messages: [Message(role: "user", content: "q")])))
    #expect(
        try problem(#"{"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]}"#)
            == .namelessTool(key: "messages[0].tool_calls[0]"))
}

@Test func weightsOfMessagesAreRead() throws {
    for weight in ["-1", "1e9", "\"1\""] {
        let problem = try problem("{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\", \"weight\": \(weight)}]}")
        guard case .wrongType("messages[0].weight", _, _) = problem else {
            Issue.record("\(weight): \(String(describing: problem))")
            continue
        }
    }
    #expect(
        try example(#"{"messages": [{"role": "assistant", "content": "a", "weight": 0.5}]}"#)
            == .conversation(
                Conversation(messages: [try message("assistant", "a", ["weight": .number(0.5)])], weights: [0: 0.5])))
    #expect(
        try example(#"{"messages": [{"role": "assistant", "content": "a", "weight": 1.0}]}"#)
            == .conversation(Conversation(messages: [try message("assistant", "a", ["weight": .number(1)])])))
}

// MARK: Segments

@Test func segmentsAreRead() throws {
    #expect(
        try example(
            #"{"segments": [{"text": "Q", "train": false}, {"text": "", "train": true}, {"text": "A", "label": true}]}"#
        )
            == .segments([Segment("Q", isTrained: false), Segment("A", isTrained: true)]))
    #expect(try problem(#"{"segments": [{"text": "Q", "train": false}]}"#) == .emptyField("segments"))
    #expect(
        try problem(#"{"segments": [{"text": "Q"}]}"#)
            == .wrongType(key: "segments[0].train", expected: "true or false", found: "missing"))
}

@Test func segmentsHaveWeights() throws {
    let (text, weight) = (#"{"text": "A", "weight": 0.25}"#, Segment("A", weight: 0.25))
    #expect(try example("{\"segments\": [\(text)]}") == .segments([weight]))
    #expect(
        try problem(#"{"segments": [{"text": "A", "weight": -1}]}"#)
            == .wrongType(key: "segments[0].weight", expected: "0 or a number from 1e-6 to 10000", found: "-1"))
    let encoder = ExampleEncoder(tokenizer: try Fixtures.smollm2(), template: nil)
    let pieces = [Segment("Q:", isTrained: false), Segment(" Yes.", weight: 0.25), Segment(" And no.", isTrained: true)]
    let outcomes = try encoder.encode(DatasetRecord(.segments(pieces), file: "f", line: 1))
    let example = try #require(outcomes.first?.example)
    let trained = example.labels.indices.filter { example.labels[$0] != TokenBatch.ignoredLabel }
    let weights = try #require(example.weights)
    #expect(trained.map { weights[$0] } == [0.25, 0.25, 1, 1, 1, 1])
}

@Test func segmentsAreTrainedAsMarked() throws {
    let tokenizer = try Fixtures.smollm2()
    let encoder = ExampleEncoder(tokenizer: tokenizer, template: nil)
    func trained(_ segments: [Segment]) throws -> [String] {
        let outcomes = try encoder.encode(DatasetRecord(.segments(segments), file: "f", line: 1))
        let example = try #require(outcomes.first?.example)
        #expect(tokenizer.decode(example.ids) == segments.map(\.text).joined() + "<|im_end|>")
        return example.runs(tokenizer).filter(\.isTrained).map(\.text)
    }
    let (q, a) = (Segment("Q: one?\nA:", isTrained: false), Segment(" Yes.", isTrained: true))
    #expect(try trained([q, a]) == [" Yes.", "<|im_end|>"])
    #expect(try trained([q, a, Segment("\nQ: two?", isTrained: false)]) == [" Yes."])
    // A space that would melt into the word behind it is kept apart, so that all of the word is learnt.
    #expect(try trained([Segment("A: ", isTrained: false), Segment("Yes", isTrained: true)]) == ["Yes", "<|im_end|>"])
    #expect(try trained([q, a, q, Segment(" No.", isTrained: true)]) == [" Yes.", " No.", "<|im_end|>"])
}

@Test func manyPiecesTakeTimeByTheirNumberOnly() throws {
    let tokenizer = try Fixtures.smollm2()
    let encoder = ExampleEncoder(tokenizer: tokenizer, template: nil)
    let pieces = (0..<40_000).map { Segment($0 % 2 == 0 ? "\nQ" : "\nA", isTrained: $0 % 2 == 1) }
    let start = ContinuousClock.now
    let outcomes = try encoder.encode(DatasetRecord(.segments(pieces), file: "f", line: 1))
    // Searching all pieces for every token takes a hundred times as long.
    #expect(ContinuousClock.now - start < .seconds(3))
    let example = try #require(outcomes.first?.example)
    let trained = example.runs(tokenizer).filter(\.isTrained).map(\.text)
    #expect(trained == Array(repeating: "\nA", count: 20_000) + ["<|im_end|>"])
}

// MARK: Preferences

@Test func preferencesAreReadAndCheckedButNotTrained() throws {
    let pair = #"{"prompt": "q", "chosen": "a", "rejected": "b"}"#
    #expect(
        try example(pair)
            == .preference(Preference(prompt: .text("q"), chosen: .text("a"), rejected: .text("b"))))
    let (user, good, bad) = (
        #"{"role": "user", "content": "q"}"#, #"{"role": "assistant", "content": "a"}"#,
        #"{"role": "assistant", "content": "b"}"#
    )
    #expect(try problem("{\"chosen\": [\(user), \(good)], \"rejected\": [\(user), \(bad)]}") == nil)
    #expect(try problem("{\"prompt\": [\(user)], \"chosen\": [\(good)], \"rejected\": [\(bad)]}") == nil)
    #expect(try problem("{\"prompt\": \"q\", \"chosen\": [\(good)], \"rejected\": [\(bad)]}") == .mixedPreference)
    #expect(try problem("{\"chosen\": [\(user)], \"rejected\": [\(user), \(bad)]}") == .noAnswer(key: "chosen"))
    #expect(try problem(#"{"prompt": "q", "chosen": "a", "rejected": "a"}"#) == .equalAnswers)
    #expect(
        try problem(#"{"chosen": "a", "rejected": "b"}"#, .preference)
            == .missingKey("prompt", format: .preference, keys: ["chosen", "rejected"]))
    let encoder = ExampleEncoder(tokenizer: try Fixtures.smollm2(), template: nil)
    #expect(throws: DatasetProblem(.notTrainable(.preference), file: "f", line: 1)) {
        try encoder.encode(DatasetRecord(try example(pair), file: "f", line: 1))
    }
}
