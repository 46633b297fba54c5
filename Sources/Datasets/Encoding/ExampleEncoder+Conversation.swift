import Tokenization

extension ExampleEncoder {
    /// A conversation through the chat template, encoded as one text; labels follow the spans of the trained turns.
    func encode(_ conversation: Conversation) throws(DatasetProblemKind) -> (ids: [Int32], labels: [Int32]) {
        guard let tokenizer else { throw .noTokenizer }
        guard let template else { throw .noTemplate }
        let rendered = try render(conversation, template, tokenizer)
        // Special tokens are the template's business: added by the tokenizer as well, they would stand twice.
        let encoded = tokenizer.encodeWithOffsets(rendered.text, addSpecialTokens: false)
        try checkBeginning(encoded.ids, tokenizer)
        let ignored = [Int32](repeating: TokenBatch.ignoredLabel, count: encoded.ids.count)
        var labels = options.trainOn == .all ? encoded.ids : ignored
        let text = Array(rendered.text.utf8)
        for (at, span) in rendered.assistantSpans.enumerated() {
            let turn = LossMask.tokens(in: span.utf8, ranges: encoded.ranges)
            guard isTrained(span.message, of: conversation) else {
                for position in turn { labels[position] = TokenBatch.ignoredLabel }
                continue
            }
            var trained = LossMask.trimmed(
                turn, isSpecial: { tokenizer.isSpecial(encoded.ids[$0]) },
                isBlank: { text[encoded.ranges[$0]].allSatisfy(isWhitespace) })
            // A template may mark one message in several pieces, of which the last one ends the turn.
            if rendered.assistantSpans.dropFirst(at + 1).first?.message == span.message { trained = trained ?? turn }
            guard let trained else { throw .missingEndToken(message: span.message + 1) }
            for position in trained { labels[position] = encoded.ids[position] }
        }
        return (encoded.ids, labels)
    }

    private func render(
        _ conversation: Conversation, _ template: ChatTemplate, _ tokenizer: Tokenizer
    ) throws(DatasetProblemKind) -> ConversationRendering {
        do throws(TemplateError) {
            return try template.renderConversation(
                messages: conversation.messages, tools: conversation.tools, variables: variables(tokenizer),
                now: options.now)
        } catch {
            throw .templateRefused(reason: error.description)
        }
    }

    /// What templates read beside the messages: the tokens with a role by their usual names, and the recipe's own.
    private func variables(_ tokenizer: Tokenizer) -> JSONObject {
        let roles = tokenizer.specialTokens
        var variables = options.templateVariables
        let named = [
            ("bos_token", roles.bos), ("eos_token", roles.eos), ("pad_token", roles.pad), ("unk_token", roles.unk),
        ]
        for (name, token) in named where variables[name] == nil {
            if let token { variables[name] = .string(token.text) }
        }
        return variables
    }

    private func isTrained(_ message: Int, of conversation: Conversation) -> Bool {
        if conversation.untrained.contains(message) { return false }
        guard options.trainOn == .last else { return true }
        return message == conversation.messages.lastIndex { $0.role == "assistant" }
    }
}
