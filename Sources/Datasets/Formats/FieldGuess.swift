/// Which keys of a record of no known format may stand for which of a format.
enum FieldGuess {
    private static let questions = ["instruction", "question", "prompt", "input", "query"]
    private static let answers = ["output", "answer", "response", "completion", "target", "reply"]
    private static let conversations = ["conversation", "dialogue", "dialog", "chat"]

    /// What to write for `fields`, as in `{instruction: question, output: answer}`; `nil` if no keys are familiar.
    static func fields(for keys: [String]) -> String? {
        if let conversation = conversations.first(where: keys.contains) { return "{messages: \(conversation)}" }
        guard let question = questions.first(where: keys.contains), let answer = answers.first(where: keys.contains) else {
            return nil
        }
        var pairs = [("instruction", question), ("output", answer)]
        if keys.contains("context"), !keys.contains("input") { pairs.append(("input", "context")) }
        return "{" + pairs.filter { $0 != $1 }.map { "\($0): \($1)" }.joined(separator: ", ") + "}"
    }
}
