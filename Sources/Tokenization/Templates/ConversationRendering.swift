/// A rendered conversation and where the assistant's messages stand in it.
public struct ConversationRendering: Sendable, Hashable {
    /// The whole text.
    public let text: String
    /// The spans of the assistant's messages, in the order of the text. A message may have several spans or none where
    /// the template marks them itself; else each has exactly one.
    public let assistantSpans: [AssistantSpan]
}

/// The place of one assistant message: what a model is to learn to say.
public struct AssistantSpan: Sendable, Hashable {
    /// The position of the message in the conversation, from 0.
    public let message: Int
    /// The range of Unicode code points of the text.
    public let scalars: Range<Int>
    /// The range of UTF-8 bytes of the text.
    public let utf8: Range<Int>
}

extension ChatTemplate {
    /// Renders a whole conversation and finds the assistant's messages in it.
    ///
    /// If the template has `{% generation %}` blocks, they are the spans, and each belongs to the message that the
    /// innermost loop over messages was at. Otherwise the conversation is rendered up to every assistant message:
    /// - A span ends where the rendering through its message ends.
    /// - It starts after the rendering of what comes before with the generation prompt: everything that the model will
    ///   not be given when it answers.
    /// - Where that prompt is not what stands before the message (a prompt that opens a thinking block, say), two
    ///   made-up messages take the message's place; what both renderings start with is the header, and the span starts
    ///   behind it if the conversation has the same header there.
    /// - Where even that differs, the span starts after the rendering without a prompt, and so includes the header.
    ///   Nothing of another message can get into a span.
    /// - Throws: `TemplateError.rewrittenHistory` where the rendering up to a message is not how the whole text begins,
    ///   `.unattributedSpan` where a generation block belongs to no message, and what `render` throws.
    public func renderConversation(
        messages: [Message], tools: JSONValue? = nil, variables: JSONObject = [:], now: TemplateClock = .current
    ) throws(TemplateError) -> ConversationRendering {
        let input = try TemplateInput(messages: messages, tools: tools, variables: variables, clock: now)
        let (text, generations) = try render(input, messages: input.messages[...], prompt: false)
        let assistants = messages.indices.filter { messages[$0].role == "assistant" }
        let spans: [AssistantSpan]
        if hasGenerationBlocks {
            spans = try GenerationSpans(text: text, assistants: assistants).attributed(generations)
        } else {
            spans = try PrefixSpans(template: self, input: input, text: text).spans(of: assistants)
        }
        return ConversationRendering(text: text, assistantSpans: spans)
    }
}

/// Gives the spans of generation blocks to messages.
private struct GenerationSpans {
    let text: String
    let assistants: [Int]

    func attributed(_ generations: [Evaluator.Generation]) throws(TemplateError) -> [AssistantSpan] {
        let scalars = Array(text.unicodeScalars)
        var spans: [AssistantSpan] = []
        var measured = (scalar: 0, byte: 0)
        for (at, generation) in generations.enumerated() where !generation.span.isEmpty {
            let span = generation.span
            guard span.lowerBound >= measured.scalar, span.upperBound <= scalars.count,
                String(scalars[span]).isExactly(generation.text)
            else {
                throw .unattributedSpan(
                    reason: "block \(at + 1) stands in a macro or a filtered block, where its place is not known")
            }
            let message = try message(of: generation, at, after: spans.last, all: generations)
            let before = scalars[measured.scalar..<span.lowerBound].reduce(0) { $0 + $1.utf8.count }
            let start = measured.byte + before
            let end = start + generation.text.utf8.count
            spans.append(AssistantSpan(message: message, scalars: span, utf8: start..<end))
            measured = (span.upperBound, end)
        }
        return spans
    }

    /// Where no loop over messages tells the message: a block that follows another without a gap belongs to the same
    /// message, and if no block is in a loop and they are as many as the answers, they go in order.
    private func message(
        of generation: Evaluator.Generation, _ at: Int, after last: AssistantSpan?, all: [Evaluator.Generation]
    ) throws(TemplateError) -> Int {
        if let message = generation.message { return message }
        if let last, last.scalars.upperBound == generation.span.lowerBound { return last.message }
        if all.count == assistants.count, all.allSatisfy({ $0.message == nil }) { return assistants[at] }
        throw .unattributedSpan(
            reason: "block \(at + 1) stands outside of a loop over the messages, so that its message is not known")
    }
}

extension Unicode.Scalar {
    fileprivate var utf8: UTF8.EncodedScalar { UTF8.encode(self) ?? .init() }
}

/// Finds messages by rendering the conversation up to them.
private struct PrefixSpans {
    let template: ChatTemplate
    let input: TemplateInput
    let text: String

    func spans(of assistants: [Int]) throws(TemplateError) -> [AssistantSpan] {
        var spans: [AssistantSpan] = []
        for message in assistants {
            let end = try end(of: message)
            let start = try start(of: message, end: end)
            guard start >= spans.last?.utf8.upperBound ?? 0 else {
                throw .rewrittenHistory(message: message, reason: "its text would start within that of the one before")
            }
            spans.append(AssistantSpan(message: message, scalars: scalars(start)..<scalars(end), utf8: start..<end))
        }
        return spans
    }

    private func scalars(_ byte: Int) -> Int {
        text.utf8.prefix(byte).reduce(0) { $1 & 0xC0 == 0x80 ? $0 : $0 + 1 }
    }

    private func rendered(_ count: Int, prompt: Bool) throws(TemplateError) -> String {
        try template.render(input, messages: input.messages.prefix(count), prompt: prompt).text
    }

    /// Where the text through a message ends, in bytes.
    private func end(of message: Int) throws(TemplateError) -> Int {
        guard message + 1 < input.messages.count else { return text.utf8.count }
        let through = try rendered(message + 1, prompt: false)
        guard text.hasPrefix(exactly: through) else {
            throw .rewrittenHistory(message: message, reason: difference(through, until: "through it"))
        }
        return through.utf8.count
    }

    private func start(of message: Int, end: Int) throws(TemplateError) -> Int {
        let prompted = try leading(message) { () throws(TemplateError) in try rendered(message, prompt: true) }
        if let prompted, text.hasPrefix(exactly: prompted), prompted.utf8.count <= end { return prompted.utf8.count }
        let plain = try leading(message) { () throws(TemplateError) in try rendered(message, prompt: false) } ?? ""
        guard text.hasPrefix(exactly: plain), plain.utf8.count <= end else {
            throw .rewrittenHistory(message: message, reason: difference(plain, until: "before it"))
        }
        if let header = header(of: message), header.utf8.count >= plain.utf8.count, header.utf8.count <= end,
            header.hasPrefix(exactly: plain), text.hasPrefix(exactly: header)
        {
            return header.utf8.count
        }
        return plain.utf8.count
    }

    /// Before the first message there is nothing, which many templates cannot render.
    private func leading(
        _ message: Int, _ render: () throws(TemplateError) -> String
    ) throws(TemplateError) -> String? {
        do throws(TemplateError) {
            return try render()
        } catch {
            if message == 0 { return nil }
            throw error
        }
    }

    /// What stands before the content of an assistant message at this place, whatever the content is.
    private func header(of message: Int) -> String? {
        let probes = ["A", "z"].compactMap { content -> String? in
            guard let probe = try? TemplateValue(Message(role: "assistant", content: content).json) else { return nil }
            return try? template.render(input, messages: input.messages.prefix(message) + [probe], prompt: false).text
        }
        guard probes.count == 2 else { return nil }
        let common = zip(probes[0].utf8, probes[1].utf8).prefix { $0 == $1 }.count
        guard common < probes[0].utf8.count, common < probes[1].utf8.count else { return nil }
        return String(decoding: probes[0].utf8.prefix(common), as: UTF8.self)
    }

    /// Where a rendering leaves the whole text, with a piece of both.
    private func difference(_ rendering: String, until: String) -> String {
        let (whole, part) = (Array(text.unicodeScalars), Array(rendering.unicodeScalars))
        let common = zip(whole, part).prefix { $0 == $1 }.count
        func piece(_ scalars: [Unicode.Scalar]) -> String {
            let piece = String(scalars[common...].prefix(32))
            return piece.isEmpty ? "the end" : "\"" + piece.replacing("\n", by: "\\n", limit: -1) + "\""
        }
        return "at character \(common) the text rendered \(until) goes on with \(piece(part)), the whole one with "
            + piece(whole)
    }
}
