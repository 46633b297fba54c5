/// A chat template: a Jinja program that turns a conversation into the text a model was trained on.
///
/// Renders as transformers does: Jinja's immutable sandbox with `trim_blocks`, `lstrip_blocks`, `break` and `continue`,
/// `{% generation %}`, `raise_exception`, `strftime_now` and a `tojson` that does not escape HTML. Time, output and
/// nesting are bounded.
public struct ChatTemplate: Sendable {
    /// The text it was made of.
    public let source: String
    /// Whether the template marks with `{% generation %}` what the model is to learn.
    public let hasGenerationBlocks: Bool
    let statements: [TemplateStatement]

    /// Reads a template.
    /// - Throws: `TemplateError.syntax` with the line.
    public init(_ source: String) throws(TemplateError) {
        self.source = source
        do throws(TemplateFailure) {
            (statements, hasGenerationBlocks) = try TemplateParser.parse(source)
        } catch {
            throw error.error(at: 1)
        }
    }

    /// Renders a conversation.
    /// - Parameters:
    ///   - tools: The list of tool descriptions that the template may offer to the model.
    ///   - addGenerationPrompt: Ends the text where the answer of the model is to begin.
    ///   - variables: What else the template may read: `bos_token`, `eos_token`, `enable_thinking`, …
    ///   - now: The time that the template's `strftime_now` tells.
    /// - Throws: `TemplateError.refused` if the template refuses the conversation; else why it cannot be rendered.
    public func render(
        messages: [Message], tools: JSONValue? = nil, addGenerationPrompt: Bool = false, variables: JSONObject = [:],
        now: TemplateClock = .current
    ) throws(TemplateError) -> Rendering {
        let input = try TemplateInput(messages: messages, tools: tools, variables: variables, clock: now)
        let (text, generations) = try render(input, messages: input.messages[...], prompt: addGenerationPrompt)
        return Rendering(text: text, generationSpans: generations.map(\.span))
    }

    /// Renders some of the messages of an input.
    func render(
        _ input: TemplateInput, messages: ArraySlice<TemplateValue>, prompt: Bool
    ) throws(TemplateError) -> (text: String, generations: [Evaluator.Generation]) {
        let evaluator = Evaluator(clock: input.clock, messages: input.messages)
        var variables = input.variables
        do throws(TemplateFailure) {
            variables["messages"] = try .list(Array(messages))
        } catch {
            throw error.error(at: 1)
        }
        variables["add_generation_prompt"] = .bool(prompt)
        let text = try evaluator.render(statements, variables: variables)
        return (text, evaluator.generations)
    }
}

/// A rendered conversation.
public struct Rendering: Sendable, Hashable {
    /// The text.
    public let text: String
    /// What `{% generation %}` blocks wrote, as ranges of Unicode code points of the text, in the order of writing.
    public let generationSpans: [Range<Int>]
}

/// What a template reads, converted once for any number of renderings.
struct TemplateInput {
    let messages: [TemplateValue]
    let variables: [String: TemplateValue]
    let clock: TemplateClock

    init(
        messages: [Message], tools: JSONValue?, variables: JSONObject, clock: TemplateClock
    ) throws(TemplateError) {
        do throws(TemplateFailure) {
            var values: [TemplateValue] = []
            values.reserveCapacity(messages.count)
            for message in messages { values.append(try TemplateValue(.object(message.templateObject))) }
            var named: [String: TemplateValue] = ["documents": .none]
            for (name, value) in variables.members { named[name] = try TemplateValue(value) }
            named["tools"] =
                try tools.map { (tools) throws(TemplateFailure) in try TemplateValue(tools) } ?? TemplateValue.none
            self.messages = values
            self.variables = named
        } catch {
            throw error.error(at: 1)
        }
        self.clock = clock
    }
}
