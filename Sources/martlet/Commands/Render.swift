import ArgumentParser
import Foundation
import Recipes
import Tokenization

struct Render: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Renders one conversation through a chat template.",
        discussion: """
            The job is a JSON file: template_file or model, messages, and optionally tools, add_generation_prompt, \
            variables (bos_token …) and now ("2024-07-26 12:00:00").
            """)

    @Option(help: "The job file.")
    var job: String

    @Flag(help: "Print one JSON object: text, ids (with a model) and assistant_spans, [start, end) in code points.")
    var json = false

    func run() throws {
        guard let data = FileManager.default.contents(atPath: job) else {
            throw CommandError(.missingInput, "\(job): there is no such file, or it cannot be read")
        }
        let value: JSONValue
        do { value = try JSONValue(parsing: data) } catch {
            throw CommandError(.unsuitableData, "\(job): not valid JSON: \(error)")
        }
        try checkKeys(of: value)
        let (template, tokenizer, variables) = try source(value)
        guard let list = value["messages"]?.arrayValue else {
            throw CommandError(.unsuitableData, "\(job): expected the key messages, a list of objects")
        }
        let messages = try list.map { message in
            guard let object = message.objectValue else {
                throw CommandError(.unsuitableData, "\(job): messages holds \(message.kindDescription), expected objects")
            }
            return try Message(object)
        }
        let tools = value["tools"].flatMap { $0.isNull ? nil : $0 }
        let rendering = try template.render(
            messages: messages, tools: tools, addGenerationPrompt: value["add_generation_prompt"]?.boolValue ?? false,
            variables: variables, now: try value["now"]?.stringValue.map { text in try TemplateClock(text) } ?? .current)
        if !json { return Terminal.output(rendering.text, terminator: "") }
        let ids = tokenizer?.encode(rendering.text, addSpecialTokens: false)
        Terminal.output([
            "text": .string(rendering.text), "ids": ids.map { .array($0.map { .integer(Int($0)) }) } ?? .null,
            "assistant_spans": .array(rendering.generationSpans.map {
                .array([.integer($0.lowerBound), .integer($0.upperBound)])
            }),
        ])
    }

    /// Refuses a job that is no object or has keys that mean nothing here.
    private func checkKeys(of value: JSONValue) throws {
        guard let members = value.objectValue?.members else {
            throw CommandError(.unsuitableData, "\(job): the job is \(value.kindDescription), expected an object")
        }
        let known = ["template_file", "model", "messages", "tools", "add_generation_prompt", "variables", "now"]
        guard let key = members.map(\.key).first(where: { !known.contains($0) }) else { return }
        let hint = nearest(to: key, in: known).map { "did you mean \($0)?" }
        throw CommandError(
            .unsuitableData, "\(job): unknown key \(key); \(hint ?? "the keys are \(known.joined(separator: ", "))")")
    }

    /// The template, and with a model its tokenizer and special tokens.
    private func source(_ value: JSONValue) throws -> (ChatTemplate, Tokenizer?, JSONObject) {
        var variables = JSONObject()
        var (template, tokenizer): (ChatTemplate?, Tokenizer?) = (nil, nil)
        if let path = value["model"]?.stringValue {
            let base = try BaseModel.open(path)
            (template, tokenizer, variables) = (base.template, base.tokenizer, base.templateVariables)
        }
        if let path = value["template_file"]?.stringValue {
            guard let data = FileManager.default.contents(atPath: path) else {
                throw CommandError(.missingInput, "\(path): there is no such template file, or it cannot be read")
            }
            guard let text = String(validating: data, as: UTF8.self) else {
                throw CommandError(.unsuitableData, "\(path): the chat template is no UTF-8 text; save it as UTF-8")
            }
            template = try ChatTemplate(text)
        }
        for (name, given) in value["variables"]?.objectValue?.members ?? [] { variables[name] = given }
        guard let template else {
            throw CommandError(.unsuitableData, "\(job): expected the key template_file, or a model that has a chat template")
        }
        return (template, tokenizer, variables)
    }
}
