import Testing
import Tokenization

/// Where the assistant's messages stand in a rendered conversation.
@Suite struct TemplateConversationTests {
    private let conversation = [
        Message(role: "user", content: "Grüße 👩‍👩‍👧"), Message(role: "assistant", content: "Hallo é!"),
        Message(role: "user", content: "2+2?"), Message(role: "assistant", content: "4"),
    ]

    private func pieces(_ rendering: ConversationRendering) -> [String] {
        rendering.assistantSpans.map { span in
            #expect(
                TemplateFixture.scalars(rendering.text, span.scalars)
                    == TemplateFixture.bytes(rendering.text, span.utf8))
            return "\(span.message):" + TemplateFixture.scalars(rendering.text, span.scalars)
        }
    }

    @Test func generationBlocksAreTheSpans() throws {
        let rendering = try ChatTemplate.chatML.renderConversation(messages: conversation)
        #expect(pieces(rendering) == ["1:Hallo é!<|im_end|>", "3:4<|im_end|>"])
        let start = "<|im_start|>user\nGrüße 👩‍👩‍👧<|im_end|>\n<|im_start|>assistant\nHallo é!<|im_end|>\n"
        #expect(rendering.text.hasPrefix(start))
    }

    @Test func chatMLEndsWithTheHeaderOfTheAnswer() throws {
        let prompt = try ChatTemplate.chatML.render(messages: [conversation[0]], addGenerationPrompt: true)
        #expect(prompt.text == "<|im_start|>user\nGrüße 👩‍👩‍👧<|im_end|>\n<|im_start|>assistant\n")
        #expect(ChatTemplate.chatML.hasGenerationBlocks)
    }

    @Test func prefixesFindTheSpansOfAPlainTemplate() throws {
        let template = try ChatTemplate(
            """
            {{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>
            {% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}
            """)
        let rendering = try template.renderConversation(
            messages: conversation, variables: ["bos_token": .string("<s>")])
        #expect(pieces(rendering) == ["1:Hallo é!</s>\n", "3:4</s>\n"])
    }

    /// The prompt opens a thinking block that the answers do not have; the header is found by probing.
    @Test func aPromptUnlikeTheHeaderIsNotTakenForIt() throws {
        let template = try ChatTemplate(
            """
            {%- for m in messages %}{{ '<|' ~ m.role ~ '|>' ~ m.content ~ '<|end|>' }}{% endfor -%}
            {%- if add_generation_prompt %}{{ '<|assistant|><think>' }}{% endif -%}
            """)
        // An answer that begins like the thinking block must not lose its beginning.
        let messages = conversation.dropLast() + [Message(role: "assistant", content: "<tool>4")]
        let rendering = try template.renderConversation(messages: Array(messages))
        #expect(pieces(rendering) == ["1:Hallo é!<|end|>", "3:<tool>4<|end|>"])
    }

    /// Where not even probing tells the header, as for the first answer, it is part of the span.
    @Test func anUnknownHeaderBelongsToTheSpan() throws {
        let template = try ChatTemplate(
            """
            {%- for m in messages %}{{ '[' ~ m.content|length ~ m.role ~ ']' ~ m.content }}{% endfor -%}
            {%- if add_generation_prompt %}{{ '[?]' }}{% endif -%}
            """)
        #expect(pieces(try template.renderConversation(messages: conversation)) == ["1:[8assistant]Hallo é!", "3:4"])
    }

    @Test func anAssistantMayBegin() throws {
        let template = try ChatTemplate(
            "{% set first = messages[0]['role'] %}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
                + "{% if add_generation_prompt %}<assistant>{% endif %}")
        let rendering = try template.renderConversation(messages: [conversation[1], conversation[2], conversation[3]])
        #expect(pieces(rendering) == ["0:Hallo é!", "2:4"])
    }

    @Test func rewrittenHistoryIsAnErrorThatNamesTheMessage() throws {
        let template = try ChatTemplate(
            "{% for m in messages %}<{{ m.role }}>{{ 'hmm ' if loop.last }}{{ m.content }}\n{% endfor %}")
        let error = #expect(throws: TemplateError.self) { try template.renderConversation(messages: conversation) }
        guard case .rewrittenHistory(let message, let reason) = error else {
            throw error ?? TemplateError.invalidTime("")
        }
        #expect(message == 1)
        #expect(reason.contains("\"hmm Hallo"))
        #expect(reason.contains("\"Hallo"))
    }

    @Test func aBlockBehindTheLoopBelongsToTheLastMessage() throws {
        let template = try ChatTemplate(
            """
            {%- for m in messages %}{{ m.role ~ ':' }}
              {%- if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}
              {%- else %}{{ m.content }}{% endif %}{% endfor %}
            {%- generation %}{{ eos_token }}{% endgeneration -%}
            """)
        let rendering = try template.renderConversation(
            messages: conversation, variables: ["eos_token": .string("</s>")])
        #expect(pieces(rendering) == ["1:Hallo é!", "3:4", "3:</s>"])
    }

    @Test func aBlockInAMacroIsRefused() throws {
        let template = try ChatTemplate(
            "{% macro answer(m) %}> {% generation %}{{ m.content }}{% endgeneration %}{% endmacro %}"
                + "{% for m in messages %}{{ answer(m) }}{% endfor %}")
        #expect(throws: TemplateError.self) { try template.renderConversation(messages: conversation) }
    }

    /// The spans hold the answers and never a word of the user, whichever reference template renders them.
    @Test func referenceTemplatesGiveSpansOrSayWhyNot() throws {
        var found = 0
        for reference in try ReferenceRendering.all() where !reference.addsPrompt {
            guard let rendering = try? reference.renderConversation() else { continue }
            found += 1
            for span in rendering.assistantSpans {
                let text = TemplateFixture.scalars(rendering.text, span.scalars)
                #expect(text == TemplateFixture.bytes(rendering.text, span.utf8))
                #expect(reference.messages[span.message].role == "assistant")
                for message in reference.messages where message.role == "user" {
                    #expect(!text.contains(message.content ?? "?"), "\(reference.name)")
                }
            }
            for (at, message) in reference.messages.enumerated() where message.role == "assistant" {
                let texts = rendering.assistantSpans.filter { $0.message == at }
                    .map { TemplateFixture.scalars(rendering.text, $0.scalars) }
                let answer = (message.content ?? "").split(whereSeparator: \.isWhitespace).last.map(String.init) ?? ""
                #expect(texts.joined().contains(answer), "\(reference.name): message \(at)")
            }
        }
        #expect(found >= 120)
    }
}
