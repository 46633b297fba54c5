import Datasets
import Testing
import Tokenization

private func conversation(_ json: String) throws -> Conversation {
    let example = try #require(try TemporaryFile(json).examples(.chat).first)
    guard case .conversation(let conversation) = example else {
        Issue.record("\(example) is no conversation")
        return Conversation(messages: [])
    }
    return conversation
}

private func problem(_ json: String) throws -> DatasetProblemKind? { try TemporaryFile(json).problem(.chat)?.kind }

@Test func messagesAreRead() throws {
    let read = try conversation(
        #"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": ""}, "#
            + #"{"role": "assistant", "content": "a"}, {"role": "tool", "content": "t"}]}"#)
    #expect(
        read
            == Conversation(messages: [
                Message(role: "system", content: "s"), Message(role: "user", content: ""),
                Message(role: "assistant", content: "a"), Message(role: "tool", content: "t"),
            ]))
}

@Test func systemBesideTheMessagesComesFirst() throws {
    let answers = #"{"role": "assistant", "content": "a", "train": false}, {"role": "assistant", "content": "b", "weight": 0.5}"#
    let read = try conversation("{\"messages\": [\(answers)], \"system\": \"S\"}")
    #expect(read.messages.map(\.role) == ["system", "assistant", "assistant"] && read.messages[0].content == "S")
    #expect(read.untrained == [1] && read.weights == [2: 0.5])
    func beginning(with content: String, besides system: String) -> String {
        "{\"messages\": [{\"role\": \"system\", \"content\": \"\(content)\"}], \"system\": \"\(system)\"}"
    }
    #expect(try conversation(beginning(with: "S", besides: "S")).messages == [Message(role: "system", content: "S")])
    #expect(try conversation(beginning(with: "S", besides: "")).messages == [Message(role: "system", content: "S")])
    #expect(try problem(beginning(with: "S", besides: "T")) == .twoSystemTexts)
}

@Test func messagesCanBeKeptFromTraining() throws {
    let read = try conversation(
        #"{"messages": [{"role": "assistant", "content": "a", "train": false}, "#
            + #"{"role": "assistant", "content": "b", "train": true}, "#
            + #"{"role": "assistant", "content": "c", "weight": 0}, "#
            + #"{"role": "assistant", "content": "d", "weight": 1}, {"role": "assistant", "content": "e"}]}"#)
    #expect(read.untrained == [0, 2])
}

@Test func toolsAndToolCallsReachTheTemplate() throws {
    let read = try conversation(
        #"{"tools": [{"name": "f"}], "messages": [{"role": "user", "content": "u"}, "#
            + #"{"role": "assistant", "content": null, "tool_calls": [{"name": "f"}]}]}"#)
    #expect(read.tools == .array([.object(["name": .string("f")])]))
    #expect(read.messages[1].json["tool_calls"] == .array([.object(["name": .string("f")])]))
    #expect(read.messages[1].content == nil)
}

@Test func textPartsBecomeOneText() throws {
    let read = try conversation(
        #"{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]}"#)
    #expect(read.messages[0].content == "ab")
    #expect(
        try problem(#"{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}"#)
            == .wrongType(
                key: "messages[0].content", expected: "a string or a list of text parts",
                found: "a list with a part of the type \"image_url\""))
}

@Test func brokenConversationsAreNamed() throws {
    #expect(try problem(#"{"messages": []}"#) == .emptyConversation(key: "messages"))
    #expect(try problem(#"{"id": 1}"#) == .missingKey("messages", format: .chat, keys: ["id"]))
    #expect(
        try problem(#"{"messages": "hello"}"#)
            == .wrongType(key: "messages", expected: "an array", found: "a string"))
    #expect(
        try problem(#"{"messages": ["hello"]}"#)
            == .wrongType(key: "messages[0]", expected: "an object", found: "a string"))
    let user = #"{"role": "user", "content": "u"}"#
    #expect(
        try problem("{\"messages\": [\(user), {\"role\": \"gpt\", \"content\": \"a\"}]}")
            == .unknownRole("gpt", message: 2))
    let wrong: [(String, String, String, String)] = [
        (#"{"content": "a"}"#, "role", "a string", "missing"),
        (#"{"role": null, "content": "a"}"#, "role", "a string", "null"),
        (#"{"role": 1, "content": "a"}"#, "role", "a string", "an integer"),
        (#"{"role": "assistant"}"#, "content", "a string", "missing"),
        (#"{"role": "assistant", "content": null}"#, "content", "a string", "null"),
        (#"{"role": "assistant", "content": "a", "weight": -1}"#, "weight", "0 or a number from 1e-6 to 10000", "-1"),
        (#"{"role": "assistant", "content": "a", "weight": 1e9}"#, "weight", "0 or a number from 1e-6 to 10000", "1000000000.0"),
        (#"{"role": "assistant", "content": {}}"#, "content", "a string", "an object"),
        (#"{"role": "assistant", "content": "a", "train": 1}"#, "train", "true or false", "an integer"),
        (#"{"role": "assistant", "content": "a", "weight": "1"}"#, "weight", "0 or a number from 1e-6 to 10000", "a string"),
        (#"{"role": "assistant", "content": "a", "tool_calls": {}}"#, "tool_calls", "an array", "an object"),
        (#"{"role": "assistant", "content": "a", "tool_calls": ["f"]}"#, "tool_calls[0]", "an object", "a string"),
    ]
    for (message, key, expected, found) in wrong {
        #expect(
            try problem("{\"messages\": [\(user), \(message)]}")
                == .wrongType(key: "messages[1].\(key)", expected: expected, found: found))
    }
    #expect(
        try problem("{\"tools\": 1, \"messages\": [\(user)]}")
            == .wrongType(key: "tools", expected: "an array", found: "an integer"))
}
