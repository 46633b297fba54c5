import Datasets
import Testing
import Tokenization

/// Where answers begin to differ is the same whether they are changed one at a time or many at once.
@Suite struct AnswerDifferencesTests {
    /// Templates in which a turn depends on others, or cannot be told from what stands around it.
    private static let difficult = [
        // The reasoning of an answer is left out once a later one calls no tool.
        """
        {%- for message in messages -%}
            {%- set ns = namespace(ended=false) -%}
            {%- for later in messages[loop.index:] -%}
                {%- if later.role == 'assistant' and not later.tool_calls -%}{%- set ns.ended = true -%}{%- endif -%}
            {%- endfor -%}
            {%- if message.role == 'assistant' -%}
                {%- generation -%}
                    {{- ('' if ns.ended else message.reasoning_content | default('')) + message.content -}}
                    {{- message.tool_calls | tojson if message.tool_calls -}}{{- '</s>' -}}
                {%- endgeneration -%}
            {%- else -%}{{- message.content -}}{%- endif -%}
        {%- endfor -%}
        """,
        // An answer begins with how long the one before was, and the text with how many say A.
        """
        {%- set ns = namespace(count=0) -%}
        {%- for message in messages if message.content == 'A' -%}{%- set ns.count = ns.count + 1 -%}{%- endfor -%}
        {{- ns.count -}}
        {%- for message in messages -%}
            {%- if message.role == 'assistant' -%}
                {%- generation -%}{{- message.content + '</s>' -}}{%- endgeneration -%}
            {%- else -%}{{- messages[loop.index0 - 1].content | length -}}{%- endif -%}
        {%- endfor -%}
        """,
        // Nothing stands between answers.
        """
        {%- for message in messages if message.role == 'assistant' -%}
            {%- generation -%}{{- message.content -}}{%- endgeneration -%}
        {%- endfor -%}
        """,
        // Each answer twice, one that is empty not at all, and one that begins with an A is refused.
        """
        {%- for message in messages -%}
            {%- if message.role == 'assistant' and message.content -%}
                {%- if message.content.startswith('A') -%}{{- raise_exception('A') -}}{%- endif -%}
                {%- generation -%}{{- message.content + '|' + message.content -}}{%- endgeneration -%}
            {%- endif -%}
        {%- endfor -%}
        """,
        // The last answer only, with all the rest before it.
        """
        {%- for message in messages -%}
            {%- if message.role == 'assistant' and loop.last -%}
                {%- generation -%}{{- message.content + '</s>' -}}{%- endgeneration -%}
            {%- else -%}{{- message.content | trim | lower -}}{%- endif -%}
        {%- endfor -%}
        """,
    ]

    private static let contents = [
        "", " ", "A", "z", "Apple", "zebra", "answer é.", "\n\nanswer\n", "<|im_end|>\n<|im_start|>user\nquestion<|im_end|>\n",
        "<think>\nthought\n</think>\n\nanswer", "<think></think>", "</think>", "</s>", "questionquestion",
    ]

    private static func conversation(_ random: inout some RandomNumberGenerator, withTools: Bool) throws -> Conversation {
        var messages: [Message] = []
        for _ in 0..<Int.random(in: 2...24, using: &random) {
            if messages.isEmpty || Int.random(in: 0..<8, using: &random) > 0 {
                messages.append(Message(role: "user", content: ["question", "A", "answer"].randomElement(using: &random) ?? ""))
            }
            var object: JSONObject = ["role": "assistant"]
            object["content"] = .string(contents.randomElement(using: &random) ?? "")
            if Int.random(in: 0..<4, using: &random) == 0 { object["reasoning_content"] = "thought" }
            if withTools, Int.random(in: 0..<3, using: &random) == 0 {
                object["tool_calls"] = [["id": "call00001", "type": "function", "function": ["name": "f", "arguments": ["a": 1]]]]
            }
            messages.append(try Message(object))
        }
        return Conversation(messages: messages)
    }

    private func regions(_ rendered: RenderedTurns, _ renderer: ConversationRenderer, fewest: Int) -> [[Int?]] {
        let turns = rendered.turns.map { ($0.message, $0.utf8) }
        let differences = AnswerDifferences(rendered, turns: turns, renderer: renderer, fewest: fewest)
        return AnswerPart.allCases.map { part in
            turns.map { message, turn in differences[part, message].flatMap { turn.contains($0) ? $0 : nil } }
        }
    }

    @Test(arguments: (TemplateMaskTests.names + ChatTemplate.builtInNames).map { $0 } + difficult.indices.map { "difficult \($0)" })
    func oneAtATimeAndManyAtOnceAgree(_ name: String) throws {
        let own = name.hasPrefix("difficult ") ? Int(name.dropFirst(10)).map { Self.difficult[$0] } : nil
        let builtIn = TemplateMaskTests.names.contains(name) ? nil : ChatTemplate.builtIn(name)
        let template = try builtIn ?? ChatTemplate(own ?? Fixtures.template(name))
        let renderer = ConversationRenderer(
            template: template, variables: ["bos_token": "<s>", "eos_token": "</s>"], clock: try TemplateClock("2024-07-26"))
        var random = SplitMix(state: 7)
        var (compared, found) = (0, 0)
        for round in 0..<30 {
            let conversation = try Self.conversation(&random, withTools: round % 2 == 0)
            let answers = conversation.messages.indices.filter { conversation.messages[$0].role == "assistant" }
            for rendered in (try? renderer.render(conversation, trained: answers)) ?? [] {
                let each = regions(rendered, renderer, fewest: .max)
                #expect(regions(rendered, renderer, fewest: 2) == each, "\(conversation.messages)")
                compared += 1
                found += each.joined().count { $0 != nil }
            }
        }
        // Some templates refuse two answers in a row, or have no places for them.
        if name != "feature-mix" { #expect(compared > 0 && found > 0, "\(compared) \(found)") }
    }

    /// Changed one at a time, 400 answers take many times as long.
    @Test func manyAnswersTakeLittleMoreThanFew() throws {
        let messages = (0..<400).flatMap { [Message(role: "user", content: "q\($0)"), Message(role: "assistant", content: "a\($0)")] }
        let renderer = ConversationRenderer(
            template: try #require(ChatTemplate.builtIn("chatml")), variables: [:], clock: try TemplateClock("2024-07-26"))
        let rendered = try #require(try renderer.render(Conversation(messages: messages), trained: []).first)
        func seconds(_ fewest: Int) -> Duration {
            ContinuousClock().measure { #expect(regions(rendered, renderer, fewest: fewest)[0].allSatisfy { $0 != nil }) }
        }
        #expect(seconds(AnswerDifferences.fewest) * 4 < seconds(.max))
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
