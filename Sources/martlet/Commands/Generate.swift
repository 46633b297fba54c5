import ArgumentParser
import Foundation
import Models
import Recipes
import TensorCore
import Tokenization

struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets a model answer: one prompt, or a chat on the terminal.",
        discussion: """
            With a chat template, --prompt is one user message; --raw gives the text to the model as it is. Text is printed \
            as it comes. Greedy (--temperature 0) unless a temperature is given.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var form: PackingOptions
    @OptionGroup var compute: ComputeOptions

    @Option(help: "The prompt.")
    var prompt: String?

    @Option(name: .customLong("prompt-ids"), help: "Token ids instead of text, separated by commas; no template, nothing added.")
    var promptIDs: String?

    @Flag(help: "Talk with the model, message by message, until end of input.")
    var chat = false

    @Flag(help: "Give --prompt to the model as it is, without the chat template.")
    var raw = false

    @Option(help: "A system message for the chat template.")
    var system: String?

    @Option(name: .customLong("max-tokens"), parsing: .unconditional, help: "Longest answer, in tokens.")
    var maxTokens = 256

    @Option(parsing: .unconditional, help: "0 takes the most likely token; higher values choose more freely.")
    var temperature = 0.0

    @Option(
        name: .customLong("top-p"), parsing: .unconditional,
        help: "Choose among the most likely tokens that together have this probability.")
    var topP = 1.0

    @Option(parsing: .unconditional, help: "Seed of the choices.")
    var seed: UInt64 = 0

    @Flag(name: .customLong("ignore-eos"), help: "Go on after tokens that end an answer.")
    var ignoreEOS = false

    @Flag(help: "Print one JSON object instead of streaming text.")
    var json = false

    func validate() throws {
        if [prompt != nil, promptIDs != nil, chat].count(where: { $0 }) != 1 {
            throw ValidationError("give exactly one of --prompt, --prompt-ids and --chat")
        }
        if promptIDs != nil, raw || system != nil {
            throw ValidationError("--prompt-ids is given to the model as it is; leave out \(raw ? "--raw" : "--system")")
        }
        if raw, chat || system != nil {
            throw ValidationError("--raw goes without the chat template, which \(chat ? "--chat" : "--system") needs; leave one out")
        }
        if maxTokens < 1 { throw ValidationError("--max-tokens is \(maxTokens), expected a number above 0") }
        if !(temperature >= 0 && temperature.isFinite) {
            throw ValidationError("--temperature is \(String(format: "%g", temperature)), expected 0 or more")
        }
        if !(topP > 0 && topP <= 1) {
            throw ValidationError("--top-p is \(String(format: "%g", topP)), expected a number above 0, at most 1")
        }
    }

    func run() throws {
        let compute = try compute.makeCompute()
        let loaded = try LoadedModel(model, form, on: compute)
        if chat { return try talk(loaded, compute) }
        _ = try answer(try promptTokens(loaded), loaded, compute)
    }

    private func promptTokens(_ loaded: LoadedModel) throws -> [TokenID] {
        if let promptIDs { return try TokenIDList.parse(promptIDs, option: "--prompt-ids") }
        let (text, tokenizer) = (prompt ?? "", try loaded.base.requireTokenizer())
        if raw || (loaded.base.template == nil && system == nil) { return tokenizer.encode(text) }
        return try rendered([Message(role: "user", content: text)], loaded)
    }

    private func rendered(_ messages: [Message], _ loaded: LoadedModel) throws -> [TokenID] {
        let all = (system.map { [Message(role: "system", content: $0)] } ?? []) + messages
        let text = try loaded.base.requireTemplate().render(
            messages: all, addGenerationPrompt: true, variables: loaded.base.templateVariables).text
        return try loaded.base.requireTokenizer().encode(text, addSpecialTokens: false)
    }

    private func talk(_ loaded: LoadedModel, _ compute: Compute) throws {
        var messages: [Message] = []
        while true {
            if Terminal.isInteractive { FileHandle.standardError.write(Data("> ".utf8)) }
            guard let line = readLine() else { return }
            if line.trimmingCharacters(in: .whitespaces).isEmpty { continue }
            messages.append(Message(role: "user", content: line))
            messages.append(Message(role: "assistant", content: try answer(try rendered(messages, loaded), loaded, compute)))
        }
    }

    /// Generates, prints, and returns the text.
    private func answer(_ prompt: [TokenID], _ loaded: LoadedModel, _ compute: Compute) throws -> String {
        try check(prompt, loaded)
        let tokenizer = loaded.base.tokenizer
        var decoder = tokenizer.map { StreamingDecoder($0, skipSpecialTokens: true) }
        let start = ContinuousClock.now
        let generation = Generation(
            from: loaded.network, prompt: prompt, maxTokens: maxTokens, stopTokens: ignoreEOS ? [] : loaded.base.stopTokens,
            sampler: TokenSampler(temperature: temperature, topP: topP, seed: seed), on: compute
        ) { id in
            if !json, let text = decoder?.append(id), !text.isEmpty { Terminal.output(text, terminator: "") }
            return true
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let text = tokenizer.map { $0.decode(generation.ids, skipSpecialTokens: true) }
        if json {
            Terminal.output([
                "text": text.map { .string($0) } ?? .null, "ids": .array(generation.ids.map { .integer(Int($0)) }),
                "prompt_tokens": .integer(prompt.count), "stop_reason": .string(generation.stopReason.rawValue),
                "tokens_per_second": .finite(Double(generation.ids.count) / seconds),
            ])
        } else if tokenizer == nil {
            Terminal.output(generation.ids.map(String.init).joined(separator: ","))
        } else {
            Terminal.output(decoder?.finish() ?? "")
        }
        return text ?? ""
    }

    private func check(_ prompt: [TokenID], _ loaded: LoadedModel) throws {
        if prompt.isEmpty { throw CommandError(.unsuitableData, "the prompt has no tokens; give some text") }
        let size = loaded.network.vocabularySize
        if let stranger = prompt.first(where: { Int($0) >= size }) {
            throw CommandError(.unsuitableData, "the prompt holds token id \(stranger), but the model's vocabulary has \(size) ids")
        }
        let limit = loaded.network.maximumLength
        if maxTokens > limit - prompt.count && !json {
            Terminal.note("prompt and answer may become longer than the \(limit) tokens that the model was made for")
        }
    }
}
