import Testing
import Tokenization

@Suite struct BuiltInTemplateTests {
    private let messages = [
        Message(role: "system", content: "S"), Message(role: "user", content: "U"), Message(role: "assistant", content: "A"),
        Message(role: "user", content: "V"),
    ]

    static let expected: [String: (text: String, learned: String)] = [
        "alpaca": ("S\n\n### Instruction:\nU\n\n### Response:\nA</s>\n\n### Instruction:\nV\n\n### Response:\n", "A</s>"),
        "chatml": (
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n"
                + "<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n", "A<|im_end|>"
        ),
        "gemma": (
            "<s><start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n"
                + "<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n", "A<end_of_turn>"
        ),
        "llama3": (
            "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU"
                + "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|><|start_header_id|>user"
                + "<|end_header_id|>\n\nV<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "A<|eot_id|>"
        ),
        "mistral": ("<s>[INST] S\n\nU[/INST] A</s>[INST] V[/INST]", " A</s>"),
        "phi3": ("<|system|>\nS<|end|>\n<|user|>\nU<|end|>\n<|assistant|>\nA<|end|>\n<|user|>\nV<|end|>\n<|assistant|>\n", "A<|end|>"),
        "vicuna": ("<s>S USER: U ASSISTANT: A</s>USER: V ASSISTANT:", " A</s>"),
        "zephyr": ("<|system|>\nS</s>\n<|user|>\nU</s>\n<|assistant|>\nA</s>\n<|user|>\nV</s>\n<|assistant|>\n", "A</s>"),
    ]

    @Test(arguments: ChatTemplate.builtInNames)
    func rendersAndMarksTheAnswer(name: String) throws {
        let template = try #require(ChatTemplate.builtIn(name))
        let expected = try #require(Self.expected[name])
        let rendering = try template.render(
            messages: messages, addGenerationPrompt: true, variables: ["bos_token": "<s>", "eos_token": "</s>"])
        #expect(rendering.text == expected.text)
        #expect(template.hasGenerationBlocks)
        try #require(rendering.generationSpans.count == 1)
        let learned = Array(rendering.text.unicodeScalars)[rendering.generationSpans[0]]
        #expect(String(String.UnicodeScalarView(learned)) == expected.learned)
        // What is rendered without the answer's successor is a beginning of the whole.
        let start = try template.render(
            messages: Array(messages.prefix(3)), variables: ["bos_token": "<s>", "eos_token": "</s>"])
        #expect(rendering.text.hasPrefix(start.text))
    }

    @Test func namesNoOthers() {
        #expect(ChatTemplate.builtIn("unheard-of") == nil)
        #expect(Self.expected.keys.sorted() == ChatTemplate.builtInNames)
    }
}
