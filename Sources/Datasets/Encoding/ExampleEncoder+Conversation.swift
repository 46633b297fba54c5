import Foundation
import Tokenization

extension ExampleEncoder {
    /// A conversation through the chat template, labels by the spans of its turns: one sequence, or one for each
    /// trained turn where the template writes earlier turns differently once others follow.
    func encode(_ conversation: Conversation) throws(DatasetProblemKind) -> [LabelledTokens] {
        guard let tokenizer else { throw .noTokenizer }
        guard let template else { throw .noTemplate }
        let renderer = ConversationRenderer(template: template, variables: variables(tokenizer), clock: options.now)
        let trained = trainedMessages(of: conversation)
        var remarks = try remarks(on: conversation, trained)
        let rendered = try renderer.render(conversation, trained: trained)
        if let first = rendered.first, renderer.leavesOutTools(of: first.conversation) { remarks.insert(.toolsLeftOut) }
        if options.trainOn == .all, rendered.contains(where: \.isServed), conversation.untrained.isEmpty,
            conversation.weights.isEmpty
        {
            // Everything is trained, wherever the turns stand; and once, not again in every longer beginning.
            let ids = tokenizer.encode(try renderer.plainText(conversation), addSpecialTokens: false)
            try checkBeginning(ids, tokenizer)
            return [LabelledTokens(ids: ids, labels: ids, remarks: remarks)]
        }
        var sequences: [LabelledTokens] = []
        for part in rendered {
            sequences.append(try labelled(part, trained, renderer, tokenizer))
            sequences[sequences.count - 1].remarks.formUnion(remarks)
        }
        return sequences
    }

    /// Refuses a conversation of which nothing is to be learnt but to stop, and notes where that is so in places.
    private func remarks(
        on conversation: Conversation, _ trained: [Int]
    ) throws(DatasetProblemKind) -> Set<RecordRemark> {
        if options.trainOn == .all { return [] }
        let empty = trained.count { Answer(conversation.messages[$0]).isEmpty }
        if empty > 0, empty == trained.count { throw .emptyAnswers }
        return empty > 0 ? [.emptyAnswer] : []
    }

    private func labelled(
        _ rendered: RenderedTurns, _ trained: [Int], _ renderer: ConversationRenderer, _ tokenizer: Tokenizer
    ) throws(DatasetProblemKind) -> LabelledTokens {
        // Special tokens are the template's business: added by the tokenizer as well, they would stand twice.
        let encoded = tokenizer.encodeWithOffsets(rendered.text, addSpecialTokens: false)
        try checkBeginning(encoded.ids, tokenizer)
        let ignored = [Int32](repeating: TokenBatch.ignoredLabel, count: encoded.ids.count)
        var result = LabelledTokens(ids: encoded.ids, labels: options.trainOn == .all ? encoded.ids : ignored)
        let text = Array(rendered.text.utf8)
        let turns = rendered.turns
        let differences = differences(rendered, turns.filter { trained.contains($0.message) }, renderer)
        for (message, pieces, extent) in turns {
            // Of several pieces the last one ends the turn.
            var tokens = pieces.map { LossMask.tokens(in: $0.utf8, ranges: encoded.ranges) }
            guard trained.contains(message) else {
                for position in tokens.joined() { result.labels[position] = TokenBatch.ignoredLabel }
                continue
            }
            let end = LossMask.trimmed(
                tokens[tokens.count - 1], isSpecial: { tokenizer.isSpecial(encoded.ids[$0]) },
                isBlank: { text[encoded.ranges[$0]].allSatisfy(isWhitespace) })
            guard let end else { throw .missingEndToken(message: message + 1) }
            let said = pieces.map { piece in
                String(decoding: rendered.text.utf8.dropFirst(piece.utf8.lowerBound).prefix(piece.utf8.count), as: UTF8.self)
            }
            try checkContent(of: rendered, message, said)
            if leavesOutReasoning(rendered, message, said) { result.remarks.insert(.reasoningLeftOut) }
            tokens[tokens.count - 1] = end
            let regions = differences.map { AnswerRegions($0, message: message, turn: extent) }
            let learnt = chosen(tokens.flatMap { Array($0) }, encoded, regions)
            for position in learnt { result.labels[position] = encoded.ids[position] }
            result.setWeight(rendered.conversation.weights[message] ?? 1, of: learnt)
            if !learnt.isEmpty { result.turns.append(tokens[0].lowerBound..<end.upperBound) }
        }
        return result
    }

    /// What tells the parts of answers, if only some of them are trained.
    private func differences(
        _ rendered: RenderedTurns, _ turns: [RenderedTurns.Turn], _ renderer: ConversationRenderer
    ) -> AnswerDifferences? {
        guard case .parts = options.trainOn else { return nil }
        return AnswerDifferences(rendered, turns: turns.map { ($0.message, $0.utf8) }, renderer: renderer)
    }

    /// Refuses a turn of which the template leaves out what the model should say: it would learn to stop at once.
    private func checkContent(
        of rendered: RenderedTurns, _ message: Int, _ said: [String]
    ) throws(DatasetProblemKind) {
        let calls = rendered.conversation.messages[message].json["tool_calls"]?.arrayValue ?? []
        for call in calls {
            let name = (call["function"] ?? call)["name"]?.stringValue ?? ""
            if !said.contains(where: { $0.contains(name) }) { throw .toolCallsLeftOut(message: message + 1) }
        }
    }

    /// Whether a turn is the last answer and lacks its reasoning. Many templates leave out that of earlier ones on purpose.
    private func leavesOutReasoning(_ rendered: RenderedTurns, _ message: Int, _ said: [String]) -> Bool {
        let messages = rendered.conversation.messages
        guard message == messages.lastIndex(where: { $0.role == "assistant" }),
            let reasoning = Answer(messages[message]).reasoning?.trimmingCharacters(in: .whitespacesAndNewlines)
        else { return false }
        return !said.contains { $0.contains(reasoning) }
    }

    /// The tokens of a turn that belong to the parts asked for, and with them its last one, which ends the turn.
    private func chosen(_ turn: [Int], _ encoded: EncodedText, _ regions: AnswerRegions?) -> [Int] {
        guard case .parts(let parts) = options.trainOn, let regions else { return turn }
        let chosen = turn.dropLast().filter { parts.contains(regions.part(of: encoded.ranges[$0])) }
        return chosen.isEmpty ? [] : chosen + turn.suffix(1)
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

    private func trainedMessages(of conversation: Conversation) -> [Int] {
        let answers = conversation.messages.indices.filter { conversation.messages[$0].role == "assistant" }
        let chosen = options.trainOn == .last ? answers.suffix(1) : answers[...]
        return chosen.filter { !conversation.untrained.contains($0) }
    }
}
