extension ChatTemplate {
    /// The ChatML format, for a base model that brings no template: `<|im_start|>role`, the content, `<|im_end|>`.
    public static let chatML = ChatTemplate(source: chatMLSource, statements: chatMLStatements)

    private static let chatMLSource = """
        {%- for message in messages -%}
            {{- '<|im_start|>' + message['role'] + '\\n' -}}
            {%- if message['role'] == 'assistant' -%}
                {%- generation -%}{{- message['content'] + '<|im_end|>' -}}{%- endgeneration -%}
            {%- else -%}
                {{- message['content'] + '<|im_end|>' -}}
            {%- endif -%}
            {{- '\\n' -}}
        {%- endfor -%}
        {%- if add_generation_prompt -%}
            {{- '<|im_start|>assistant\\n' -}}
        {%- endif -%}
        """

    /// A test renders the source; it cannot fail to parse.
    private static let chatMLStatements = (try? TemplateParser.parse(chatMLSource).statements) ?? []

    private init(source: String, statements: [TemplateStatement]) {
        self.source = source
        self.statements = statements
        hasGenerationBlocks = true
    }
}
