package import Tokenization

/// The text of a conversation, or of its beginning up to a turn, and the turns in it that the model is to learn.
package struct RenderedTurns {
    /// One piece of an assistant's turn, in UTF-8 bytes of the text.
    package struct Span {
        package let message: Int
        package let utf8: Range<Int>
    }

    package let text: String
    package let spans: [Span]
    /// The messages that the text was made of.
    let conversation: Conversation
    /// Whether the text ends with the turn of a message because the template would write it otherwise in a longer one.
    package let isServed: Bool

    /// A message, its pieces and what they extend over; a template may mark one message in several.
    package typealias Turn = (message: Int, pieces: ArraySlice<Span>, utf8: Range<Int>)

    /// The turns of the text, in its order.
    package var turns: [Turn] {
        var turns: [Turn] = []
        var at = spans.startIndex
        while at < spans.endIndex {
            let message = spans[at].message
            let pieces = spans[at...].prefix { $0.message == message }
            at += pieces.count
            turns.append((message, pieces, pieces[pieces.startIndex].utf8.lowerBound..<spans[at - 1].utf8.upperBound))
        }
        return turns
    }
}

/// Renders conversations so that it is known where each turn stands.
package struct ConversationRenderer {
    let template: ChatTemplate
    let variables: JSONObject
    let clock: TemplateClock

    /// How many bytes at the end of a prompt are looked for where no generation prompt was added to it.
    private static let recognisable = 8

    package init(template: ChatTemplate, variables: JSONObject, clock: TemplateClock) {
        (self.template, self.variables, self.clock) = (template, variables, clock)
    }

    /// The whole conversation as one text; or, if the template writes turns differently once others follow, one text
    /// for each of `trained`, just as the model will be asked and should answer.
    package func render(_ conversation: Conversation, trained: [Int]) throws(DatasetProblemKind) -> [RenderedTurns] {
        let candidates = conversation.argumentForms
        for (number, candidate) in candidates.enumerated() {
            do throws(TemplateError) {
                return try renderings(candidate, trained)
            } catch {
                if error.isAboutValues, number + 1 < candidates.count { continue }
                throw .templateRefused(reason: error.description)
            }
        }
        return []
    }

    /// The whole conversation as one text, without a look at where its turns stand.
    func plainText(_ conversation: Conversation) throws(DatasetProblemKind) -> String {
        do throws(TemplateError) {
            return try text(conversation, conversation.messages, prompt: false)
        } catch {
            throw .templateRefused(reason: error.description)
        }
    }

    /// Whether the conversation is rendered as if it had no tools.
    func leavesOutTools(of conversation: Conversation) -> Bool {
        guard conversation.tools != nil else { return false }
        var other = conversation
        other.tools = nil
        guard let text = try? plainText(conversation), let without = try? plainText(other) else { return false }
        return text == without
    }

    private func renderings(_ conversation: Conversation, _ trained: [Int]) throws(TemplateError) -> [RenderedTurns] {
        do throws(TemplateError) {
            let whole = try template.renderConversation(
                messages: conversation.messages, tools: conversation.tools, variables: variables, now: clock)
            let spans = whole.assistantSpans.map { RenderedTurns.Span(message: $0.message, utf8: $0.utf8) }
            return [RenderedTurns(text: whole.text, spans: spans, conversation: conversation, isServed: false)]
        } catch {
            guard case .rewrittenHistory = error else { throw error }
        }
        var served: [RenderedTurns] = []
        for message in trained { served.append(try self.served(conversation, message)) }
        return served
    }

    /// What stands before the answer is the prompt that the model will be given; the answer is what the template adds.
    private func served(_ conversation: Conversation, _ message: Int) throws(TemplateError) -> RenderedTurns {
        let before = Array(conversation.messages[..<message])
        let through = try text(conversation, Array(conversation.messages[...message]), prompt: false)
        let prompt = before.isEmpty ? "" : try text(conversation, before, prompt: true)
        func turn(_ text: String, from start: Int) -> RenderedTurns {
            let span = RenderedTurns.Span(message: message, utf8: start..<text.utf8.count)
            return RenderedTurns(text: text, spans: [span], conversation: conversation, isServed: true)
        }
        if through.utf8.starts(with: prompt.utf8) { return turn(through, from: prompt.utf8.count) }
        let plain = before.isEmpty ? "" : try text(conversation, before, prompt: false)
        let header = try commonStart(of: through, conversation, message)
        // Earlier turns stand otherwise in the prompt than before the answer: what the prompt ends with tells the
        // place.
        let opening = prompt.utf8.starts(with: plain.utf8) ? prompt.utf8.count - plain.utf8.count : 0
        let ending = Array(prompt.utf8.suffix(max(opening, Self.recognisable)))
        if let answer = Array(through.utf8).position(behind: ending, upTo: header) {
            return turn(
                prompt + String(decoding: through.utf8.dropFirst(answer), as: UTF8.self), from: prompt.utf8.count)
        }
        guard through.utf8.starts(with: plain.utf8), header >= plain.utf8.count else {
            throw .rewrittenHistory(
                message: message, reason: "its text does not begin with the prompt that a model would be given")
        }
        return turn(through, from: header)
    }

    /// How many bytes of a text do not depend on what the message says: everything up to its content.
    private func commonStart(
        of text: String, _ conversation: Conversation, _ message: Int
    ) throws(TemplateError) -> Int {
        var common = text.utf8.count
        for content in ["A", "z"] {
            let probe = conversation.messages[..<message] + [Message(role: "assistant", content: content)]
            common = min(common, text.commonBytes(with: try self.text(conversation, Array(probe), prompt: false)))
        }
        return common
    }

    private func text(
        _ conversation: Conversation, _ messages: [Message], prompt: Bool
    ) throws(TemplateError) -> String {
        try template.render(
            messages: messages, tools: conversation.tools, addGenerationPrompt: prompt, variables: variables, now: clock
        ).text
    }

    /// The text with other messages in the place of some; `nil` if the template does not render it. Of a text that ends
    /// with a turn as it is served, that turn's message is the one.
    func text(of rendered: RenderedTurns, replacing others: [Int: Message]) -> String? {
        var conversation = rendered.conversation
        for (message, other) in others { conversation.messages[message] = other }
        if rendered.isServed { return others.keys.first.flatMap { try? served(conversation, $0).text } }
        return try? text(conversation, conversation.messages, prompt: false)
    }
}

extension TemplateError {
    /// Whether other values in the same places might do.
    fileprivate var isAboutValues: Bool {
        switch self {
        case .evaluation, .undefined: true
        default: false
        }
    }
}

extension String {
    /// How many bytes two texts have in common at their start.
    func commonBytes(with other: String) -> Int { zip(utf8, other.utf8).prefix { $0 == $1 }.count }
}

extension [UInt8] {
    /// The end of the last place of `piece` that lies within the first `limit` bytes.
    fileprivate func position(behind piece: [UInt8], upTo limit: Int) -> Int? {
        var end = limit
        while end >= piece.count {
            if self[(end - piece.count)..<end].elementsEqual(piece) { return end }
            end -= 1
        }
        return nil
    }
}

extension Conversation {
    /// The conversation as servers hand it to templates, with the arguments of tool calls as objects, and as it stands
    /// in the record, where they may be JSON text; some templates can only print one of the two.
    fileprivate var argumentForms: [Conversation] {
        var parsed = self
        var differs = false
        for (position, message) in messages.enumerated() {
            guard case .object(var object) = message.json, let calls = object["tool_calls"]?.arrayValue else {
                continue
            }
            object["tool_calls"] = .array(
                calls.map { call in
                    guard let changed = call.withParsedArguments else { return call }
                    differs = true
                    return changed
                })
            if let other = try? Message(object) { parsed.messages[position] = other }
        }
        return differs ? [parsed, self] : [self]
    }
}

extension JSONValue {
    /// A tool call whose arguments were the JSON text of an object, with that object; `nil` for all others.
    fileprivate var withParsedArguments: JSONValue? {
        guard var call = objectValue else { return nil }
        if var function = call["function"]?.objectValue {
            guard let arguments = function["arguments"]?.parsedObject else { return nil }
            function["arguments"] = arguments
            call["function"] = .object(function)
        } else {
            guard let arguments = call["arguments"]?.parsedObject else { return nil }
            call["arguments"] = arguments
        }
        return .object(call)
    }

    private var parsedObject: JSONValue? {
        guard let text = stringValue, let value = try? JSONValue(parsing: text), value.objectValue != nil else {
            return nil
        }
        return value
    }
}
