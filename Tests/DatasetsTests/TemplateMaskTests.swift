import Datasets
import Foundation
import Testing
import Tokenization

/// Masks of conversations with many turns, tools and thinking through every template of the reference.
@Suite struct TemplateMaskTests {
    /// What the templates write as special tokens, beside those of smollm2.
    private static let marks = [
        "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "</s>", "<s>", "<eos>", "<bos>", "<start_of_turn>",
        "<end_of_turn>", "<|eot_id|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot|>",
        "<|header_start|>", "<|header_end|>", "<|eom|>", "<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "<｜User｜>",
        "<｜Assistant｜>", "<｜tool▁calls▁end｜>", "<|start|>", "<|message|>", "<|channel|>", "<|return|>", "<|call|>",
        "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]", "<|eom_id|>",
    ]
    private static let tokenizer = Result { try Fixtures.smollm2(adding: marks) }
    private static let reference = Result { try Fixtures.json("../../TokenizationTests/Fixtures/chat/renderings.json") }

    private static let call: JSONValue = [
        "id": "call00001", "type": "function",
        "function": ["name": "toolname", "arguments": .string(#"{"city": "toolcity"}"#)],
    ]
    private static let tools: JSONValue = [
        [
            "type": "function",
            "function": [
                "name": "toolname", "description": "Tells.",
                "parameters": [
                    "type": "object", "properties": ["city": ["type": "string", "description": "Where."]],
                    "required": ["city"],
                ],
            ],
        ]
    ]

    static let conversations: [String: Conversation] = {
        let plain = (0..<4).flatMap {
            [Message(role: "user", content: "question\($0)"), Message(role: "assistant", content: "answer\($0) é.")]
        }
        func message(_ members: JSONObject) -> Message {
            (try? Message(members)) ?? Message(role: "assistant", content: "broken")
        }
        let thinking = (0..<3).flatMap {
            [
                Message(role: "user", content: "question\($0)"),
                message([
                    "role": "assistant", "content": .string("answer\($0)."),
                    "reasoning_content": .string("thought\($0)"),
                ]),
            ]
        }
        let flow = [
            Message(role: "user", content: "question0"),
            message(["role": "assistant", "content": "", "reasoning_content": "thought0", "tool_calls": [call]]),
            message(["role": "tool", "name": "toolname", "tool_call_id": "call00001", "content": #"{"t": 7}"#]),
            Message(role: "assistant", content: "answer0."), Message(role: "user", content: "question1"),
            Message(role: "assistant", content: "answer1."),
        ]
        return [
            "plain": Conversation(messages: plain),
            "system": Conversation(messages: [Message(role: "system", content: "systemtext")] + plain),
            "thinking": Conversation(messages: thinking),
            "tools": Conversation(messages: flow, tools: tools),
        ]
    }()

    static let names = [
        "alpaca-style", "chatml", "deepseek-v3", "feature-mix", "gemma-style", "gpt-oss", "llama3-style",
        "llama4-style",
        "mistral-v3", "phi3-training", "phi3", "qwen2.5-training", "qwen2.5", "qwen3-training", "qwen3", "smollm2",
        "zephyr-style",
    ]
    /// Templates that write a turn otherwise once others follow, and the conversations in which that shows.
    static let rewriting: [String: Set<String>] = [
        "gpt-oss": ["plain", "system", "thinking", "tools"], "phi3": ["plain", "system", "thinking"],
        "qwen3": ["plain", "system", "thinking", "tools"], "mistral-v3": ["system", "tools"],
    ]
    static let withTools = [
        "deepseek-v3", "gpt-oss", "llama3-style", "llama4-style", "mistral-v3", "qwen2.5-training", "qwen2.5",
        "qwen3-training", "qwen3",
    ]
    static let withThinking = ["gpt-oss", "qwen3-training", "qwen3"]

    private func variables(_ name: String) throws -> JSONObject {
        let roles = try #require(try Self.reference.get()["templates"]?[name]?.objectValue)
        return JSONObject(roles.members.filter { $0.key.hasSuffix("_token") && !$0.value.isNull })
    }

    private func examples(
        _ name: String, _ conversation: Conversation, _ trainOn: TrainOn = .assistant
    ) throws -> [EncodedExample] {
        let encoder = ExampleEncoder(
            tokenizer: try Self.tokenizer.get(), template: try ChatTemplate(Fixtures.template(name)),
            options: EncodingOptions(
                trainOn: trainOn, templateVariables: try variables(name), now: try TemplateClock("2024-07-26")))
        return try encoder.encode(DatasetRecord(.conversation(conversation), file: "f", line: 1)).compactMap(\.example)
    }

    /// The texts that are trained, one for each stretch of neighbouring tokens, special ones written out.
    private func trained(_ examples: [EncodedExample]) throws -> [[String]] {
        let tokenizer = try Self.tokenizer.get()
        return examples.map { example in
            var texts: [String] = []
            var wasTrained = false
            for run in example.runs(tokenizer) {
                if run.isTrained {
                    if wasTrained { texts[texts.count - 1] += run.text } else { texts.append(run.text) }
                }
                wasTrained = run.isTrained
            }
            return texts
        }
    }

    private static let secrets = ["question", "systemtext", "\"t\": 7", "user", "system"]

    /// Everything that the assistant says is trained, up to a special token, and nothing else.
    @Test(arguments: names.filter { $0 != "feature-mix" }, conversations.keys.sorted())
    func answersAreTrainedAndNothingElse(_ name: String, _ kind: String) throws {
        let conversation = try #require(Self.conversations[kind])
        if kind == "tools" && !Self.withTools.contains(name) {
            let problem = #expect(throws: DatasetProblem.self) { try examples(name, conversation) }
            #expect(problem?.code == (name == "gemma-style" ? "template_refused" : "tool_calls_left_out"))
            return
        }
        let answers = conversation.messages.indices.filter { conversation.messages[$0].role == "assistant" }
        let encoded = try examples(name, conversation)
        let isSplit = Self.rewriting[name]?.contains(kind) == true
        #expect(encoded.count == (isSplit ? answers.count : 1))
        let texts = try trained(encoded).flatMap { $0 }
        #expect(texts.count == answers.count)
        for (text, message) in zip(texts, answers) {
            let content = conversation.messages[message].content ?? ""
            #expect(text.contains(content.isEmpty ? "toolcity" : content))
            #expect(text.hasSuffix(">"), "\(text)")
            for secret in Self.secrets { #expect(!text.contains(secret), "\(text)") }
            let thinks =
                conversation.messages[message].json["reasoning_content"] != nil && Self.withThinking.contains(name)
            #expect(text.contains("thought") == thinks, "\(text)")
        }
    }

    /// What stands before an answer is, to the letter, the prompt that a server would make of the same messages.
    @Test(arguments: rewriting.keys.sorted())
    func splitConversationsAreWhatIsServed(_ name: String) throws {
        let tokenizer = try Self.tokenizer.get()
        let template = try ChatTemplate(Fixtures.template(name))
        for kind in Self.rewriting[name] ?? [] {
            let conversation = try #require(Self.conversations[kind])
            let answers = conversation.messages.indices.filter { conversation.messages[$0].role == "assistant" }
            for (example, message) in zip(try examples(name, conversation), answers) {
                var history = Array(conversation.messages[..<message])
                for at in history.indices where history[at].json["tool_calls"] != nil {
                    var object = try #require(history[at].json.objectValue)
                    object["tool_calls"] = [
                        [
                            "id": "call00001", "type": "function",
                            "function": ["name": "toolname", "arguments": ["city": "toolcity"]],
                        ]
                    ]
                    history[at] = try Message(object)
                }
                let served = try template.render(
                    messages: history, tools: conversation.tools, addGenerationPrompt: true,
                    variables: try variables(name),
                    now: try TemplateClock("2024-07-26")
                ).text
                let start = try #require(example.labels.firstIndex { $0 != TokenBatch.ignoredLabel })
                #expect(tokenizer.decode(example.ids[..<start]) == served, "\(name) \(kind) \(message)")
            }
        }
    }

    @Test(arguments: names.filter { $0 != "feature-mix" })
    func partsOfAnswersAreTrainedAlone(_ name: String) throws {
        for kind in ["thinking", "tools"] where kind == "thinking" || Self.withTools.contains(name) {
            let conversation = try #require(Self.conversations[kind])
            let markers: [AnswerPart: String] = [.final: "answer", .thinking: "thought", .toolCalls: "toolcity"]
            for part in AnswerPart.allCases {
                let marker = try #require(markers[part])
                let exists =
                    switch part {
                    case .final: true
                    case .thinking: Self.withThinking.contains(name)
                    case .toolCalls: kind == "tools"
                    }
                guard exists else {
                    let problem = #expect(throws: DatasetProblem.self) {
                        try examples(name, conversation, .parts([part]))
                    }
                    #expect(problem?.code == "no_supervised_token")
                    continue
                }
                let texts = try trained(try examples(name, conversation, .parts([part]))).flatMap { $0 }
                #expect(texts.contains { $0.contains(marker) })
                for other in markers.values where other != marker {
                    #expect(!texts.contains { $0.contains(other) }, "\(name) \(kind) \(part): \(texts)")
                }
                // Every turn that is trained at all ends with its end token.
                #expect(texts.last?.hasSuffix(">") == true)
                let all = try examples(name, conversation)
                let every = try examples(name, conversation, .parts(Set(AnswerPart.allCases)))
                #expect(every == all)
            }
        }
    }

    /// A text with numbered turns and counts of messages is no template that could be trained on.
    @Test func templateWithoutPlacesForAnswersIsRefused() throws {
        let conversation = try #require(Self.conversations["plain"])
        let problem = #expect(throws: DatasetProblem.self) { try examples("feature-mix", conversation) }
        #expect(problem?.code == "template_refused")
    }

    @Test func reasoningInTheContentCounts() throws {
        let conversation = Conversation(messages: [
            Message(role: "user", content: "question0"),
            Message(role: "assistant", content: "<think>\nthought0\n</think>\n\nAnswer0."),
        ])
        let final = try trained(try examples("qwen3", conversation, .parts([.final])))
        #expect(final == [["Answer0.<|im_end|>"]])
        let thinking = try trained(try examples("qwen3", conversation, .parts([.thinking])))
        #expect(thinking == [["<think>\nthought0\n</think>\n\n", "<|im_end|>"]])
        // A template that knows nothing of reasoning draws the line at the same place.
        #expect(try trained(try examples("chatml", conversation, .parts([.final]))) == [["Answer0.<|im_end|>"]])
        let mark = try trained(try examples("chatml", conversation, .parts([.thinking])))
        #expect(mark == [["<think>\nthought0\n</think>\n\n", "<|im_end|>"]])
    }

    @Test func untrainedTurnsOfSplitConversationsGiveNoExample() throws {
        var conversation = try #require(Self.conversations["thinking"])
        conversation.untrained = [1, 3]
        #expect(
            try trained(try examples("qwen3", conversation)) == [["<think>\nthought2\n</think>\n\nanswer2.<|im_end|>"]])
        #expect(try examples("qwen3", conversation, .last) == examples("qwen3", conversation))
        // Everything, once, as one text.
        conversation.untrained = []
        let all = try examples("qwen3", conversation, .all)
        #expect(all.count == 1 && all[0].supervisedCount == all[0].ids.count - 1)
    }
}
