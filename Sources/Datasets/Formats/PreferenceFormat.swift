import Tokenization

/// `{"prompt": …, "chosen": …, "rejected": …}`: two answers to one prompt, as texts or as messages. Without `prompt`
/// the answers are whole conversations that begin alike.
enum PreferenceFormat {
    static let requiredKeys = ["chosen", "rejected"]

    static func example(from fields: RecordFields) throws(DatasetProblemKind) -> Example {
        let (chosen, rejected) = (try content("chosen", fields), try content("rejected", fields))
        let hasPrompt = fields.optional("prompt") != nil
        let prompt = hasPrompt ? try content("prompt", fields) : .messages([])
        if chosen == rejected { throw .equalAnswers }
        switch (prompt, chosen, rejected) {
        case (.text, .text, .text): break
        case (.messages, .messages(let better), .messages(let worse)):
            try check(better, "chosen")
            try check(worse, "rejected")
            if !hasPrompt, better.first != worse.first {
                throw .missingKey("prompt", format: .preference, keys: ["chosen", "rejected"])
            }
        case (_, .text, .text) where !hasPrompt:
            throw .missingKey("prompt", format: .preference, keys: ["chosen", "rejected"])
        default: throw .mixedPreference
        }
        return .preference(Preference(prompt: prompt, chosen: chosen, rejected: rejected))
    }

    private static func content(
        _ key: String, _ fields: RecordFields
    ) throws(DatasetProblemKind) -> Preference.Content {
        let value = try fields.required(key)
        if let text = value.stringValue {
            if text.isEmpty { throw .emptyField(key) }
            return .text(text)
        }
        return .messages(try ChatFormat.conversation(fields.array(key), key: key).messages)
    }

    /// An answer ends with what the model says.
    private static func check(_ answer: [Message], _ key: String) throws(DatasetProblemKind) {
        guard answer.last?.role == "assistant" else { throw .noAnswer(key: key) }
    }
}
