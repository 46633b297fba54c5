import Checkpoints
public import Foundation
public import Tokenization

/// Another chat template than the model's own: for a base that brings none, or for an adapter that was trained with another.
extension BaseModel {
    /// The same model with another chat template. What ends a turn in it ends answers, too, and the companions say so.
    public func with(template: ChatTemplate) -> BaseModel {
        var model = self
        model.template = template
        if let end = endOfTurn(in: template) { model.stopTokens.insert(end) }
        model.makeCompanions = { [stops = model.stopTokens, companions = makeCompanions] in
            try Self.changed(try companions(), template, stops)
        }
        return model
    }

    /// The same model with the template that an adapter's folder holds, if it holds one.
    public func withTemplate(ofAdapter folder: URL) throws -> BaseModel {
        let file = folder.appendingPathComponent("chat_template.jinja")
        guard let data = try RegularFile.contentsIfAny(file) else { return self }
        guard let own = try Self.template(Self.templateText(data, file.path), file.path), own.source != template?.source else {
            return self
        }
        return with(template: own)
    }

    /// The same model, whose answers end with what ends a turn in its own template, too: its files may name another token
    /// as the end of a text, and training teaches this one.
    func endingTurns() -> BaseModel {
        guard let end = template.flatMap(endOfTurn) else { return self }
        var model = self
        model.stopTokens.insert(end)
        return model
    }

    /// The special token behind an answer; `nil` if the template ends it with none.
    private func endOfTurn(in template: ChatTemplate) -> TokenID? {
        guard let tokenizer else { return nil }
        let messages = [Message(role: "user", content: "Hello"), Message(role: "assistant", content: "Hello")]
        guard let text = try? template.render(messages: messages, variables: templateVariables).text,
            let answer = text.range(of: "Hello", options: .backwards)
        else { return nil }
        // Not what begins the text, or the marks of the turn.
        return tokenizer.encode(String(text[answer.upperBound...]), addSpecialTokens: false).first { tokenizer.isSpecial($0) }
    }

    /// Companions with another template, which stands in a file of its own, and with all ids that end an answer.
    private static func changed(
        _ files: [String: Data], _ template: ChatTemplate, _ stops: Set<TokenID>
    ) throws -> [String: Data] {
        func edited(_ name: String, _ data: Data, _ edit: (JSONObject) -> JSONObject) throws -> Data {
            guard let object = try parse(data, name).objectValue else { return data }
            return Data(JSONValue.object(edit(object)).serialized(pretty: true).utf8)
        }
        var files = files
        files["chat_template.jinja"] = Data(template.source.utf8)
        files["tokenizer_config.json"] = try files["tokenizer_config.json"].map {
            try edited("tokenizer_config.json", $0) { $0.without("chat_template") }
        }
        files["generation_config.json"] = try edited("generation_config.json", files["generation_config.json"] ?? Data("{}".utf8)) {
            var object = $0
            object["eos_token_id"] = ids(stops)
            return object
        }
        return files
    }
}
