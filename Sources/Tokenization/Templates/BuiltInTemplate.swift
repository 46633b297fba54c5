extension ChatTemplate {
    /// Names of the built-in templates, for base models that bring none.
    public static let builtInNames = BuiltInTemplate.allCases.map(\.rawValue)

    /// The built-in template of a name: `alpaca`, `chatml`, `gemma`, `llama3`, `mistral`, `phi3`, `vicuna` or `zephyr`;
    /// `nil` for any other. All mark with `{% generation %}` what the model is to learn, end of turn included, and leave
    /// away `bos_token` where that is not given. Tools are not offered to the model.
    public static func builtIn(_ name: String) -> ChatTemplate? {
        BuiltInTemplate(rawValue: name).flatMap { try? ChatTemplate($0.source) }
    }
}

/// The conversation formats in widest use.
enum BuiltInTemplate: String, CaseIterable, Sendable {
    case alpaca, chatml, gemma, llama3, mistral, phi3, vicuna, zephyr

    /// The Jinja program; a test renders each.
    var source: String {
        switch self {
        case .chatml: ChatTemplate.chatML.source
        case .llama3:
            Self.start
                + Self.turns(
                    before: "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'", after: "'<|eot_id|>'",
                    between: "''", content: Self.trimmed)
                + Self.prompt("'<|start_header_id|>assistant<|end_header_id|>\\n\\n'")
        case .phi3:
            Self.turns(
                before: "'<|' + message['role'] + '|>\\n'", after: "'<|end|>'", between: "'\\n'",
                content: "message['content']") + Self.prompt("'<|assistant|>\\n'")
        case .zephyr:
            Self.turns(
                before: "'<|' + message['role'] + '|>\\n'", after: "eos_token", between: "'\\n'",
                content: "message['content']") + Self.prompt("'<|assistant|>\\n'")
        case .gemma: Self.gemmaSource
        case .mistral: Self.mistralSource
        case .alpaca:
            Self.system("messages[0]['content'] + '\\n\\n'")
                + Self.alternating(
                    user: "'### Instruction:\\n' + message['content'] + '\\n\\n'", prefix: "'### Response:\\n'",
                    suffix: "'\\n\\n'") + Self.prompt("'### Response:\\n'")
        case .vicuna:
            Self.start + Self.system("messages[0]['content'] + ' '")
                + Self.alternating(user: "'USER: ' + message['content'] + ' '", prefix: "'ASSISTANT:'", suffix: "''", lead: "' ' + ")
                + Self.prompt("'ASSISTANT:'")
        }
    }

    private static let start = "{{- bos_token | default('') -}}\n"
    private static let trimmed = "(message['content'] | trim)"

    private static func prompt(_ text: String) -> String {
        "{%- if add_generation_prompt -%}{{- \(text) -}}{%- endif -%}\n"
    }

    /// Every message between the same marks, whoever speaks.
    private static func turns(before: String, after: String, between: String, content: String) -> String {
        """
        {%- for message in messages -%}
            {{- \(before) -}}
            {%- if message['role'] == 'assistant' -%}
                {%- generation -%}{{- \(content) + \(after) -}}{%- endgeneration -%}
            {%- else -%}
                {{- \(content) + \(after) -}}
            {%- endif -%}
            {{- \(between) -}}
        {%- endfor -%}

        """
    }

    /// A system message at the start, for formats that have no turn for it.
    private static func system(_ text: String) -> String {
        """
        {%- if messages and messages[0]['role'] == 'system' -%}
            {{- \(text) -}}
            {%- set messages = messages[1:] -%}
        {%- endif -%}

        """
    }

    /// User and assistant in turn, the assistant's turns ended by the end-of-text token.
    private static func alternating(user: String, prefix: String, suffix: String, lead: String = "") -> String {
        """
        {%- for message in messages -%}
            {%- if message['role'] == 'user' -%}
                {{- \(user) -}}
            {%- elif message['role'] == 'assistant' -%}
                {{- \(prefix) -}}
                {%- generation -%}{{- \(lead)message['content'] + eos_token -}}{%- endgeneration -%}
                {{- \(suffix) -}}
            {%- else -%}
                {{- raise_exception('this format has no turn for the role ' + message['role']) -}}
            {%- endif -%}
        {%- endfor -%}

        """
    }

    /// A system message goes into the first turn of the user.
    private static let gemmaSource = start + """
        {%- set opening = namespace(text='') -%}
        {%- if messages and messages[0]['role'] == 'system' -%}
            {%- set opening.text = (messages[0]['content'] | trim) + '\\n\\n' -%}
            {%- set messages = messages[1:] -%}
        {%- endif -%}
        {%- for message in messages -%}
            {%- if message['role'] == 'assistant' -%}
                {{- '<start_of_turn>model\\n' -}}
                {%- generation -%}{{- (message['content'] | trim) + '<end_of_turn>' -}}{%- endgeneration -%}
            {%- elif message['role'] == 'user' -%}
                {{- '<start_of_turn>user\\n' + opening.text + (message['content'] | trim) + '<end_of_turn>' -}}
                {%- set opening.text = '' -%}
            {%- else -%}
                {{- raise_exception('this format has no turn for the role ' + message['role']) -}}
            {%- endif -%}
            {{- '\\n' -}}
        {%- endfor -%}

        """ + prompt("'<start_of_turn>model\\n'")

    /// A system message goes into the first turn of the user.
    private static let mistralSource = start + """
        {%- set opening = namespace(text='') -%}
        {%- if messages and messages[0]['role'] == 'system' -%}
            {%- set opening.text = messages[0]['content'] + '\\n\\n' -%}
            {%- set messages = messages[1:] -%}
        {%- endif -%}
        {%- for message in messages -%}
            {%- if message['role'] == 'user' -%}
                {{- '[INST] ' + opening.text + message['content'] + '[/INST]' -}}
                {%- set opening.text = '' -%}
            {%- elif message['role'] == 'assistant' -%}
                {%- generation -%}{{- ' ' + message['content'] + eos_token -}}{%- endgeneration -%}
            {%- else -%}
                {{- raise_exception('this format has no turn for the role ' + message['role']) -}}
            {%- endif -%}
        {%- endfor -%}
        """
}
