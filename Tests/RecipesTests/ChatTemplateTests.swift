import Datasets
import Foundation
import Recipes
import TensorCore
import Testing
import Tokenization

/// A base model without a chat template learns conversations in one that the recipe names.
@Suite struct ChatTemplateTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 1) }

    /// Hands over the tiny model, whose answers have ended with end of text so far, and a recipe for conversations.
    private func withBareModel(_ body: (URL, String) throws -> Void) throws {
        try withModelCopy { copy in
            try FileManager.default.removeItem(at: copy.appendingPathComponent("chat_template.jinja"))
            try change(copy.appendingPathComponent("tokenizer_config.json")) { $0["eos_token"] = "<|end_of_text|>" }
            let data = copy.deletingLastPathComponent().appendingPathComponent("d.jsonl")
            let line = #"{"messages": [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "Two."}]}"#
            try Data(line.utf8).write(to: data)
            try body(
                copy,
                """
                model:
                  path: \(copy.path)
                data:
                  max_length: 64
                  train:
                    - path: \(data.path)
                output:
                  directory: \(copy.path)-run
                """)
        }
    }

    private func prepare(_ text: String, _ template: String?) throws -> PreparedRun {
        let overrides = template.map { ["model.chat_template=\($0)"] } ?? []
        return try PreparedRun(try Recipe(yaml: text, file: "r.yaml", overrides: overrides), on: compute)
    }

    @Test func aNamedTemplateEndsAnswersAndGoesWithTheAdapter() throws {
        try withBareModel { _, text in
            let run = try prepare(text, "llama3")
            #expect(run.data.train[0].labels.last { $0 >= 0 } == 284)
            #expect(run.base.stopTokens.isSuperset(of: [2, 281, 284]))
            let files = try run.base.companions()
            #expect(files["chat_template.jinja"] == ChatTemplate.builtIn("llama3").map { Data($0.source.utf8) })
            let generation = try JSONValue(parsing: try #require(files["generation_config.json"]))
            #expect(generation["eos_token_id"] == .array([2, 281, 284].map { .integer($0) }))
        }
    }

    @Test func aFileIsATemplateToo() throws {
        try withBareModel { folder, text in
            let file = folder.appendingPathComponent("own.jinja")
            try Data("{%- for m in messages -%}{{ m.role + ':' + m.content + '<|tool|>' }}{%- endfor -%}".utf8).write(to: file)
            let run = try prepare(text, file.path)
            // What ends a turn here ends no answer of the model by itself.
            #expect(run.data.train[0].labels.last { $0 >= 0 } == 286 && run.base.stopTokens.contains(286))
            #expect(try BaseModel.open(folder.path).stopTokens.contains(286) == false)
            try Data("{% for".utf8).write(to: file)
            #expect(message { _ = try prepare(text, file.path) }.contains("model.chat_template: cannot be used: \(file.path)"))
        }
    }

    /// The files name another token as the end of a text; training on the model's own template teaches this one.
    @Test func theEndOfATurnInTheModelsOwnTemplateEndsAnswers() throws {
        try withBareModel { folder, text in
            #expect(try BaseModel.open(folder.path).stopTokens.contains(286) == false)
            let source = "{{- bos_token -}}{%- for m in messages -%}{{ '<|eot_id|>' + m.role + ':' + m.content + '<|tool|>\n' }}{%- endfor -%}"
            try Data(source.utf8).write(to: folder.appendingPathComponent("chat_template.jinja"))
            let run = try prepare(text, nil)
            #expect(run.data.train[0].labels.last { $0 >= 0 } == 286 && run.base.stopTokens.contains(286))
            #expect(try BaseModel.open(folder.path).withTemplate(ofAdapter: folder).stopTokens.contains(286))
            // What begins a text ends none, where a turn is ended by words.
            try Data("{{- bos_token -}}{%- for m in messages -%}{{ m.content + ' END ' }}{%- endfor -%}".utf8)
                .write(to: folder.appendingPathComponent("chat_template.jinja"))
            let model = try BaseModel.open(folder.path)
            let start = try #require(model.tokenizer?.specialTokens.bos?.id)
            #expect(!model.stopTokens.contains(start) && !model.stopTokens.contains(286))
        }
    }

    @Test func withoutOneConversationsAreRefused() throws {
        try withBareModel { _, text in
            #expect(message { _ = try prepare(text, nil) }.contains("name one with model.chat_template"))
            #expect(message { _ = try prepare(text, "lama3") }.contains("did you mean llama3?"))
            #expect(message { _ = try prepare(text, "none.jinja") }.contains("neither a built-in template nor a file"))
        }
    }

    @Test func anAdaptersTemplateTakesThePlaceOfTheModels() throws {
        try withModelCopy { folder in
            let base = try BaseModel.open(folder.path)
            #expect(try base.withTemplate(ofAdapter: folder).template?.source == base.template?.source)
            try change(folder.appendingPathComponent("tokenizer_config.json")) { $0["chat_template"] = "old" }
            try withFolder { adapter in
                #expect(try base.withTemplate(ofAdapter: adapter).template?.source == base.template?.source)
                let source = "{{ messages[0].content }}"
                try Data(source.utf8).write(to: adapter.appendingPathComponent("chat_template.jinja"))
                let changed = try BaseModel.open(folder.path).withTemplate(ofAdapter: adapter)
                #expect(changed.template?.source == source)
                let configuration = try JSONValue(parsing: try #require(try changed.companions()["tokenizer_config.json"]))
                #expect(configuration["chat_template"] == nil && configuration["eos_token"] == .string("<|eot_id|>"))
            }
        }
    }
}
